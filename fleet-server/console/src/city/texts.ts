// What the page says of rows and properties, in the language of the console.

import { locale, t } from "../messages/index.svelte";
import type { Property } from "./catalogue.svelte";

/** In the order in which they are listed; of what theme a property is, the catalogue says. */
const THEMES = ["weather", "air", "light", "traffic", "energy", "health"] as const;

export function titleOf(property: Property): string {
  return locale.language === "zh-Hant" ? property.title_zh : property.title_en;
}

/** The properties of each theme, by title; those of a theme that this version has no word for come last, together. */
export function byTheme(properties: readonly Property[]): { title: string; properties: Property[] }[] {
  const known = THEMES.map((theme) => ({
    title: t(`city.theme.${theme}`),
    properties: properties.filter((property) => property.theme === theme),
  }));
  const others = properties.filter((property) => !THEMES.some((theme) => theme === property.theme));
  const groups = [...known, { title: t("city.theme.other"), properties: others }];
  const collator = new Intl.Collator(locale.tag, { numeric: true });
  for (const group of groups) {
    group.properties.sort((one, other) => collator.compare(titleOf(one), titleOf(other)));
  }
  return groups.filter((group) => group.properties.length > 0);
}
