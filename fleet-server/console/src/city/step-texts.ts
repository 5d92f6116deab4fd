// What the steps of a scale stand for, in the language of the console.

import { formatFigure } from "../format/measures";
import { t } from "../messages/index.svelte";
import { boundDecimals, type Scale } from "./scale";

/** From the first step on, of values of this unit: beside a head that says it. */
export function stepTexts(scale: Scale, unit: string): string[] {
  if (scale.cyclic) return scale.colors.map((_, step) => t(`city.compass.${step as 0}`));
  const decimals = boundDecimals(scale);
  const measure = { unit, resolution: (10 ** -decimals).toFixed(decimals) };
  const bounds = scale.bounds.map((bound) => formatFigure(bound, measure));
  return scale.colors.map((_, step) => {
    const [from, to] = [bounds[step - 1], bounds[step]];
    if (from === undefined) return `< ${to ?? ""}`;
    return to === undefined ? `≥ ${from}` : `${from} – ${to}`;
  });
}
