// English: the shell, and the words that all pages share.

export const shell = {
  "app.name": "Lamplighter",
  "app.skip": "Skip to content",
  "app.title": "{page} · Lamplighter",

  "nav.label": "Main",
  "nav.city": "City",
  "nav.system": "System",

  "language.label": "Language",
  "theme.label": "Appearance",
  "theme.auto": "As the system",
  "theme.light": "Light",
  "theme.dark": "Dark",

  "link.idle": "Not live",
  "link.connecting": "Connecting…",
  "link.live": "Live",
  "link.lost": "Live link lost",
  "link.lost.detail": "What you see may be out of date. The console keeps trying.",

  "access.title": "This console is locked",
  "access.detail":
    "Open the link that the server printed when it started. The link ends with that run of the server: after a restart there is a new one.",
  "problem.title": "That did not work",
  "problem.unreachable": "The server does not answer.",
  "problem.again": "Try again",
  loading: "Loading…",
  "unknown.title": "There is no such page",
  "unknown.detail": "Nothing is at {path}.",
  "unknown.back": "Go to the city",

  "status.label": "Status",
  "status.reporting": "Reporting",
  "status.late": "Late",
  "status.offline": "Offline",
  "status.never": "Never heard",
  "status.reporting.help":
    "Connected, and within three of its shortest periods it has sent data or come back.",
  "status.late.help": "Connected, but without data for longer than three of its shortest periods.",
  "status.offline.help": "Not connected. It keeps what it reads, and sends it when it is back.",
  "status.never.help": "Registered, and has never said hello.",

  "quality.label": "Quality",
  "quality.good": "Good",
  "quality.uncertain": "Uncertain",
  "quality.bad": "Bad",
  "quality.none": "No data",

  "reason.good": "As it should be",
  "reason.out-of-range": "Outside of the range that is believed",
  "reason.clock-unsure": "Time not certain: the lamppost's clock was not set",
  "reason.warming-up": "The sensor is warming up",
  "reason.no-answer": "The sensor does not answer",
  "reason.wrong-identity": "Another sensor answers than the one described",
  "reason.sensor-fault": "The sensor reports a fault of its own",
  "reason.corrupted": "The answer was corrupted on its way",
  "reason.not-measured": "Not measured at this time",
  "reason.other": "Reason {reason}",

  "age.now": "now",
  "age.ago": "{age} ago",
  "age.ahead": "{age} ahead",
  "value.none": "no value",

  "unit.second": "s",
  "unit.minute": "min",
  "unit.days.one": "{count} day",
  "unit.days.other": "{count} days",
  "unit.hour": "h",
  "unit.vehicle.one": "vehicle",
  "unit.vehicle.other": "vehicles",
  "unit.record.one": "record",
  "unit.record.other": "records",
  "unit.tick.one": "tick",
  "unit.tick.other": "ticks",
} as const;
