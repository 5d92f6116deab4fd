// How many there are, in the language of the console.

import { locale } from "../messages/index.svelte";

export function formatCount(count: number): string {
  return new Intl.NumberFormat(locale.tag).format(count);
}
