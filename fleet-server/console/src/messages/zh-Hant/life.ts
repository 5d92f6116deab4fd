// 繁體中文：燈柱頁中，燈柱的更換、遷移及停用。

import type { life as english } from "../en/life";
import type { Part } from "../types";

export const life: Part<typeof english> = {
  "life.title": "更換、遷移或停用",
  "life.help": "觀測數據屬於燈柱編號，不論燈柱及其裝置有何變動。以下各項均載入審計記錄。",
  "life.reason": "原因（載入審計記錄）",
  "life.replace": "更換控制器",
  "life.replace.title": "更換 {lamppost} 的控制器？",
  "life.replace.text":
    "舊控制器的證書會被撤銷，權杖會被終止，並會在兩秒內被中斷連線。此舉無法還原。新控制器的權杖隨後只顯示一次。歷史數據仍然保留；舊控制器已讀取而未傳送的數據存於其記憶卡，待該卡裝入新控制器後可在此決定如何處理。",
  "life.replace.hours": "權杖有效期",
  "life.replace.do": "更換",
  "life.replace.done": "控制器已更換。已撤銷證書：{certificates}；已終止權杖：{tokens}。",
  "life.move": "遷移",
  "life.move.title": "{lamppost} 現時位於何處？",
  "life.move.text":
    "適用於已遷移而保留編號、證書及歷史數據的燈柱。登記冊會保留原有位置及其截止時間：遷移記錄不能撤回，只能再次遷移。沒有更改的欄位維持不變。",
  "life.move.latitude": "緯度（北緯度數）",
  "life.move.longitude": "經度（東經度數）",
  "life.move.degrees": "以小數點表示的度數，例如 22.31012",
  "life.move.road": "道路",
  "life.move.district": "地區",
  "life.move.feeder": "饋電線路",
  "life.move.pillar": "開關箱",
  "life.move.since": "自何時起（香港時間；留空即現在）",
  "life.move.do": "遷移",
  "life.move.done": "已遷移。",
  "life.retire": "停用",
  "life.retire.title": "停用 {lamppost}？",
  "life.retire.text":
    "適用於已拆除的燈柱。其證書會被撤銷，權杖會被終止，並會在兩秒內被中斷連線；撤銷的證書不能恢復。燈柱不再計入全市統計；其觀測數據仍可按編號查閱。",
  "life.retire.do": "停用",
  "life.retire.done": "已停用。",
  "life.revive": "恢復使用",
  "life.revive.title": "恢復使用 {lamppost}？",
  "life.revive.text":
    "適用於曾拆除而重新豎立的燈柱：燈柱會再次計入全市統計。已撤銷的證書不能恢復，須以新權杖重新登記。",
  "life.revive.do": "恢復使用",
  "life.revive.done": "已恢復使用。請以新權杖登記。",
  "life.places": "以往位置",
  "life.places.until": "截至",
  "life.places.place": "地點",
  "life.places.position": "座標",
  "life.places.fed": "饋電線路、開關箱",
  "life.places.at": "{district}，{road}",
};
