// English: on a lamppost's page, what happens to it in its life.

export const life = {
  "life.title": "Replace, move or retire",
  "life.help":
    "What is observed belongs to the number, whatever happens to the pole and to what hangs on it. Each of these is in the audit.",
  "life.reason": "Why (for the audit)",
  "life.replace": "Replace the controller",
  "life.replace.title": "Replace the controller of {lamppost}?",
  "life.replace.text":
    "What the old controller logs in with is revoked, and its tokens are ended: it is thrown out within two seconds. This cannot be undone. The token of the new one is shown once, after this. The history stays; what the old one has read and not sent is on its card, and can be decided of here once that card is in the new one.",
  "life.replace.hours": "The token is good for",
  "life.replace.do": "Replace",
  "life.replace.done":
    "The controller is replaced. Certificates revoked: {certificates}; tokens ended: {tokens}.",
  "life.move": "Move it",
  "life.move.title": "Where does {lamppost} stand now?",
  "life.move.text":
    "For a lamppost that was moved and keeps its number, its certificate and its history. Where it stood stays in the register, and until when: a move is not undone, it is followed by another one. What is left as it is stays as it was.",
  "life.move.latitude": "Latitude (degrees north)",
  "life.move.longitude": "Longitude (degrees east)",
  "life.move.degrees": "Degrees with a point, such as 22.31012",
  "life.move.road": "Road",
  "life.move.district": "District",
  "life.move.feeder": "Feeder",
  "life.move.pillar": "Switching pillar",
  "life.move.since": "Since (Hong Kong time; empty: now)",
  "life.move.do": "Move",
  "life.move.done": "It is moved.",
  "life.retire": "Retire it",
  "life.retire.title": "Retire {lamppost}?",
  "life.retire.text":
    "For a lamppost that was taken down. Its certificates are revoked, and its tokens are ended: it is thrown out within two seconds, and what is revoked stays revoked. It counts no more among the lampposts of the city; what was observed on it stays readable under its number.",
  "life.retire.do": "Retire",
  "life.retire.done": "It is retired.",
  "life.revive": "Revive it",
  "life.revive.title": "Revive {lamppost}?",
  "life.revive.text":
    "For a lamppost that was taken down and stands again: it counts among the lampposts of the city again. What was revoked stays revoked, so it is enrolled anew, by a new token.",
  "life.revive.do": "Revive",
  "life.revive.done": "It is one of the city again. Enrol it with a new token.",
  "life.places": "Where it stood before",
  "life.places.until": "Until",
  "life.places.place": "Place",
  "life.places.position": "Position",
  "life.places.fed": "Feeder, pillar",
  "life.places.at": "{road}, {district}",
} as const;
