// What the steps of a scale stand for, in the language of the console.

import { formatValue } from "../format/numbers";
import { t } from "../messages/index.svelte";
import { boundDecimals, type Scale } from "./scale";

/** From the first step on. */
export function stepTexts(scale: Scale): string[] {
  if (scale.cyclic) return scale.colors.map((_, step) => t(`city.compass.${step as 0}`));
  const bounds = scale.bounds.map((bound) => formatValue(bound, boundDecimals(scale)));
  return scale.colors.map((_, step) => {
    const [from, to] = [bounds[step - 1], bounds[step]];
    if (from === undefined) return `< ${to ?? ""}`;
    return to === undefined ? `≥ ${from}` : `${from} – ${to}`;
  });
}
