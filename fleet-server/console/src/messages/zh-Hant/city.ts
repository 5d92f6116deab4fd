// 繁體中文：「全市」頁。

import type { city as english } from "../en/city";
import type { Part } from "../types";

export const city: Part<typeof english> = {
  "city.title": "全市",
  "city.all.one": "{count} 支燈柱",
  "city.all.other": "{count} 支燈柱",
  "city.summary.one": "{count} 支燈柱中的 {shown} 支",
  "city.summary.other": "{count} 支燈柱中的 {shown} 支",

  "city.empty.title": "尚未登記任何燈柱",
  "city.empty.detail": "請在伺服器上以 CSV 檔匯入燈柱名冊，匯入後本頁會自動顯示。",
  "city.none.title": "沒有符合的燈柱",
  "city.none.detail": "沒有燈柱同時符合所有篩選條件。",

  "city.search": "搜尋編號、道路、地區",
  "city.filters": "篩選",
  "city.district.any": "所有地區",
  "city.district.label": "地區",
  "city.road.any": "所有道路",
  "city.road.label": "道路",
  "city.road.many": "請先選擇地區",
  "city.quality.any": "任何品質",
  "city.colour.label": "顏色依據",
  "city.colour.status": "狀態",
  "city.reset": "重設篩選",

  "city.view.label": "檢視",
  "city.view.both": "並列",
  "city.view.map": "地圖",
  "city.view.table": "列表",

  "city.theme.weather": "天氣",
  "city.theme.air": "空氣",
  "city.theme.light": "光照",
  "city.theme.traffic": "交通",
  "city.theme.energy": "能源",
  "city.theme.health": "設備狀況",
  "city.theme.other": "其他",

  "city.table.label": "燈柱列表",
  "city.table.help": "方向鍵逐列移動，Enter 開啟燈柱，空白鍵在地圖上選取。",
  "city.table.keys.move": "移動",
  "city.table.keys.open": "開啟",
  "city.table.keys.select": "選取",
  "city.table.keys.search": "搜尋",
  "city.column.number": "編號",
  "city.column.newest": "最新資料",
  "city.newest.none": "從未收到",
  "city.quality.counts": "{bad} 項無效，{uncertain} 項存疑",
  "city.value.late": "遲報",
  "city.value.offline": "離線",

  "city.map.failed": "未能顯示地圖",
  "city.map.failed.detail": "列表載有同一批燈柱。",
};
