// English: the page "city".

export const city = {
  "city.title": "City",
  "city.all.one": "{count} lamppost",
  "city.all.other": "{count} lampposts",
  "city.summary.one": "{shown} of {count} lamppost",
  "city.summary.other": "{shown} of {count} lampposts",

  "city.empty.title": "No lamppost is registered yet",
  "city.empty.detail":
    "Import the register on the server, from a CSV file. This page shows it as soon as it is there.",
  "city.none.title": "No lamppost matches",
  "city.none.detail": "None meets all filters at once.",

  "city.search": "Search number, road, district",
  "city.filters": "Filters",
  "city.district.any": "All districts",
  "city.district.label": "District",
  "city.road.any": "All roads",
  "city.road.label": "Road",
  "city.road.many": "Choose a district first",
  "city.quality.any": "Any quality",
  "city.colour.label": "Colour by",
  "city.colour.status": "Status",
  "city.reset": "Reset filters",

  "city.view.label": "View",
  "city.view.both": "Both",
  "city.view.map": "Map",
  "city.view.table": "Table",

  "city.theme.weather": "Weather",
  "city.theme.air": "Air",
  "city.theme.light": "Light",
  "city.theme.traffic": "Traffic",
  "city.theme.energy": "Energy",
  "city.theme.health": "Health of the equipment",
  "city.theme.other": "Other",

  "city.table.label": "Lampposts",
  "city.table.help":
    "Arrow keys move from row to row, Enter opens the lamppost, Space selects it on the map.",
  "city.table.keys.move": "move",
  "city.table.keys.open": "open",
  "city.table.keys.select": "select",
  "city.table.keys.search": "search",
  "city.column.number": "Number",
  "city.column.newest": "Newest data",
  "city.newest.none": "never",
  "city.quality.counts": "{bad} bad, {uncertain} uncertain",
  "city.value.late": "late",
  "city.value.offline": "offline",

  "city.map.failed": "The map cannot be shown",
  "city.map.failed.detail": "The table has the same lampposts.",
} as const;
