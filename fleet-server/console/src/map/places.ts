// Names that tell where one is on a map without streets. Placed by hand where the name is read best: nothing is there.

import type { FeatureCollection, Point } from "geojson";

/** Land and water, each from afar and from near. */
type Kind = "region" | "town" | "sea" | "harbour";
type Place = readonly [Kind, longitude: number, latitude: number, english: string, chinese: string];

// prettier-ignore
const PLACES: readonly Place[] = [
  ["region", 114.178, 22.333, "Kowloon", "九龍"],
  ["region", 114.19, 22.258, "Hong Kong Island", "香港島"],
  ["region", 114.1, 22.425, "New Territories", "新界"],
  ["region", 113.945, 22.255, "Lantau Island", "大嶼山"],
  ["region", 114.05, 22.57, "Shenzhen", "深圳"],
  ["region", 113.53, 22.23, "Macau", "澳門"],
  ["region", 113.26, 23.13, "Guangzhou", "廣州"],
  ["town", 114.158, 22.281, "Central", "中環"],
  ["town", 114.174, 22.277, "Wan Chai", "灣仔"],
  ["town", 114.2, 22.288, "North Point", "北角"],
  ["town", 114.229, 22.278, "Shau Kei Wan", "筲箕灣"],
  ["town", 114.154, 22.249, "Aberdeen", "香港仔"],
  ["town", 114.211, 22.22, "Stanley", "赤柱"],
  ["town", 114.172, 22.298, "Tsim Sha Tsui", "尖沙咀"],
  ["town", 114.17, 22.319, "Mong Kok", "旺角"],
  ["town", 114.163, 22.331, "Sham Shui Po", "深水埗"],
  ["town", 114.193, 22.342, "Wong Tai Sin", "黃大仙"],
  ["town", 114.226, 22.313, "Kwun Tong", "觀塘"],
  ["town", 114.209, 22.3235, "Kowloon Bay", "九龍灣"],
  ["town", 114.193, 22.328, "Kai Tak", "啟德"],
  ["town", 114.263, 22.322, "Tseung Kwan O", "將軍澳"],
  ["town", 114.271, 22.382, "Sai Kung", "西貢"],
  ["town", 114.19, 22.38, "Sha Tin", "沙田"],
  ["town", 114.168, 22.45, "Tai Po", "大埔"],
  ["town", 114.139, 22.492, "Fanling", "粉嶺"],
  ["town", 114.128, 22.503, "Sheung Shui", "上水"],
  ["town", 114.03, 22.445, "Yuen Long", "元朗"],
  ["town", 113.974, 22.393, "Tuen Mun", "屯門"],
  ["town", 114.117, 22.372, "Tsuen Wan", "荃灣"],
  ["town", 114.129, 22.36, "Kwai Chung", "葵涌"],
  ["town", 114.097, 22.345, "Tsing Yi", "青衣"],
  ["town", 113.943, 22.286, "Tung Chung", "東涌"],
  ["town", 114.13, 22.205, "Lamma Island", "南丫島"],
  ["town", 114.029, 22.209, "Cheung Chau", "長洲"],
  ["harbour", 114.157, 22.2925, "Victoria Harbour", "維多利亞港"],
  ["harbour", 114.225, 22.44, "Tolo Harbour", "吐露港"],
  ["harbour", 114.295, 22.345, "Port Shelter", "牛尾海"],
  ["sea", 113.96, 22.5, "Deep Bay", "后海灣"],
  ["sea", 114.37, 22.565, "Mirs Bay", "大鵬灣"],
  ["sea", 113.72, 22.4, "Pearl River Estuary", "珠江口"],
  ["sea", 114.3, 21.97, "South China Sea", "南海"],
];

/** With the properties `kind`, `rank` (the smaller, the sooner is its name drawn) and the names by language. */
export function places(): FeatureCollection<Point> {
  return {
    type: "FeatureCollection",
    features: PLACES.map(([kind, longitude, latitude, english, chinese], rank) => ({
      type: "Feature",
      properties: { kind, rank, en: english, "zh-Hant": chinese },
      geometry: { type: "Point", coordinates: [longitude, latitude] },
    })),
  };
}
