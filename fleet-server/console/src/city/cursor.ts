// Where the cursor of the table is. It stays on its lamppost: an import gives lampposts other rows.

import type { Fleet } from "./fleet";
import type { Listing } from "./listing";

/** The row of the lamppost of this number; the first in the list as long as that one is not in it. */
export function cursorRow(fleet: Fleet, { rows, shown }: Listing, number: string | null): number | null {
  const row = number === null ? undefined : fleet.rowOf(number);
  return row !== undefined && shown[row] === 1 ? row : (rows[0] ?? null);
}
