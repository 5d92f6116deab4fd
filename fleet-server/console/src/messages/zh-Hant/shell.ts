// 繁體中文：外框及各頁共用的詞語。

import type { shell as english } from "../en/shell";
import type { Part } from "../types";

export const shell: Part<typeof english> = {
  "app.name": "Lamplighter",
  "app.skip": "跳至內容",
  "app.title": "{page} · Lamplighter",

  "nav.label": "主目錄",
  "nav.city": "全市",
  "nav.departments": "部門",
  "nav.enrolment": "登記",
  "nav.certificates": "證書",
  "nav.connections": "連線",
  "nav.system": "系統",

  "language.label": "語言",
  "theme.label": "外觀",
  "theme.auto": "依系統設定",
  "theme.light": "淺色",
  "theme.dark": "深色",

  "link.idle": "非即時",
  "link.connecting": "連線中…",
  "link.live": "即時",
  "link.lost": "即時連線中斷",
  "link.lost.detail": "所見資料可能已過時，控制台會不斷重試。",

  "access.title": "控制台已鎖定",
  "access.detail": "請開啟伺服器啟動時印出的連結。連結只在該次運行期間有效；伺服器重新啟動後會有新的連結。",
  "problem.title": "未能完成",
  "problem.unreachable": "伺服器沒有回應。",
  "problem.again": "再試一次",
  loading: "載入中…",
  "unknown.title": "沒有這一頁",
  "unknown.detail": "{path} 沒有內容。",
  "unknown.back": "前往全市頁",

  "status.label": "狀態",
  "status.reporting": "正常回報",
  "status.late": "遲報",
  "status.offline": "離線",
  "status.never": "從未聯絡",
  "status.reporting.help": "已連線，並在其最短週期三倍的時間內有資料或恢復連線。",
  "status.late.help": "已連線，但超過其最短週期三倍的時間沒有資料。",
  "status.offline.help": "沒有連線。燈柱會保存讀數，恢復連線後補傳。",
  "status.never.help": "已登記，但從未與伺服器聯絡。",

  "quality.label": "品質",
  "quality.good": "良好",
  "quality.uncertain": "存疑",
  "quality.bad": "無效",
  "quality.none": "沒有資料",

  "reason.good": "正常",
  "reason.out-of-range": "超出可信範圍",
  "reason.clock-unsure": "時間不確定：燈柱時鐘未校準",
  "reason.warming-up": "感測器預熱中",
  "reason.no-answer": "感測器沒有回應",
  "reason.wrong-identity": "回應的感測器與登記不符",
  "reason.sensor-fault": "感測器自報故障",
  "reason.corrupted": "回應在傳輸中受損",
  "reason.not-measured": "此時沒有量度",
  "reason.other": "原因 {reason}",

  "age.now": "剛才",
  "age.ago": "{age}前",
  "age.ahead": "{age}後",
  "value.none": "沒有數值",

  "unit.second": "秒",
  "unit.minute": "分鐘",
  "unit.days.one": "{count} 天",
  "unit.days.other": "{count} 天",
  "unit.hour": "小時",
  "unit.vehicle.one": "輛",
  "unit.vehicle.other": "輛",
  "unit.record.one": "項紀錄",
  "unit.record.other": "項紀錄",
  "unit.tick.one": "次",
  "unit.tick.other": "次",
};
