// Numbers as people read them, in the language of the console.

import { locale } from "../messages/index.svelte";

/** Decimals that a resolution such as `0.01` has. */
export function decimalsOf(resolution: string): number {
  const [, fraction = ""] = resolution.split(".");
  return fraction.length;
}

/**
 * A value with the decimals of its property's resolution. What summing up makes more precise (a mean) is not shown more
 * precise than what was measured.
 */
export function formatValue(value: number, decimals: number): string {
  const format = new Intl.NumberFormat(locale.tag, {
    minimumFractionDigits: decimals,
    maximumFractionDigits: decimals,
  });
  // -0.00 is no value that anybody measured.
  return format.format(Number(value.toFixed(decimals)) + 0);
}

/** `12.3 MB`: of 1000, as disks are sold. Signs, which are the same in every language. */
export function formatBytes(bytes: number): string {
  const units = ["B", "kB", "MB", "GB", "TB"] as const;
  const power = Math.min(units.length - 1, Math.max(0, Math.floor(Math.log10(Math.max(bytes, 1)) / 3)));
  const value = bytes / 1000 ** power;
  const digits = power === 0 || value >= 100 ? 0 : 1;
  return `${new Intl.NumberFormat(locale.tag, { maximumFractionDigits: digits }).format(value)} ${units[power]}`;
}
