// English: the map of the page "city", which is loaded where it is wanted.

export const map = {
  "city.map.label": "Map of the lampposts",
  "city.map.help":
    "Arrow keys move the map, plus and minus zoom. The table has the same lampposts, by the same filters, in words.",
  "city.map.in": "Zoom in",
  "city.map.out": "Zoom out",
  "city.map.fit": "Show all",
  "city.map.shown": "{shown} of {count} shown",
  "city.map.sources": "Sources of the map",
  "city.map.lost":
    "The browser has taken the graphics card away from it. It comes back with that; the table has the same lampposts.",
  "city.map.table": "Show the table",
  "city.map.coast": "The city's own basemap cannot be read, so only the coast is shown.",
  "city.map.parts": "Parts of the map could not be read. Reload the page to try again.",

  "city.legend.label": "Legend",
  "city.legend.fit": "Fit to values",
  "city.legend.fit.help": "Divides the colours anew, by the fresh values that are shown now",
  "city.legend.none": "No fresh value",
  "city.legend.stale": "Late, offline or no value",
  "city.legend.doubtful": "Uncertain",

  "city.compass.0": "N",
  "city.compass.1": "NE",
  "city.compass.2": "E",
  "city.compass.3": "SE",
  "city.compass.4": "S",
  "city.compass.5": "SW",
  "city.compass.6": "W",
  "city.compass.7": "NW",

  "city.card.label": "Selected lamppost",
  "city.card.open": "Open lamppost",
  "city.card.close": "Close",
  "city.card.out": "Not shown: it does not match the filters.",
} as const;
