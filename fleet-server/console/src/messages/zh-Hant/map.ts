// 繁體中文：「全市」頁的地圖，需要時才載入。

import type { map as english } from "../en/map";
import type { Part } from "../types";

export const map: Part<typeof english> = {
  "city.map.label": "燈柱地圖",
  "city.map.help": "方向鍵移動地圖，加號及減號縮放。列表以文字顯示同一批燈柱，篩選條件相同。",
  "city.map.in": "放大",
  "city.map.out": "縮小",
  "city.map.fit": "顯示全部",
  "city.map.shown": "{count} 支中顯示 {shown} 支",
  "city.map.sources": "地圖資料來源",
  "city.map.lost": "瀏覽器暫時收回了地圖所用的顯示卡，恢復後地圖會自動重現；列表載有同一批燈柱。",
  "city.map.table": "顯示列表",
  "city.map.coast": "未能讀取本市底圖，現只顯示海岸線。",
  "city.map.parts": "未能讀取部分地圖。請重新載入頁面再試。",

  "city.legend.label": "圖例",
  "city.legend.fit": "按數值調整",
  "city.legend.fit.help": "按現時所示的最新數值重新劃分顏色",
  "city.legend.none": "沒有最新數值",
  "city.legend.stale": "遲報、離線或沒有數值",
  "city.legend.doubtful": "存疑",

  "city.compass.0": "北",
  "city.compass.1": "東北",
  "city.compass.2": "東",
  "city.compass.3": "東南",
  "city.compass.4": "南",
  "city.compass.5": "西南",
  "city.compass.6": "西",
  "city.compass.7": "西北",

  "city.card.label": "已選取的燈柱",
  "city.card.open": "開啟燈柱",
  "city.card.close": "關閉",
  "city.card.out": "不符合篩選條件，現時沒有顯示。",
};
