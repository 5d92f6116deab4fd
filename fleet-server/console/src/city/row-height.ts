// How high a row of the table is. All rows are alike: of a hundred thousand only those in sight exist, and where they are
// is counted.

/** One line, and beside a value the reason why it is doubtful in two small ones. */
const LOW_REM = 2.5;
/** A value, and below it the reason in up to three small lines. */
const HIGH_REM = 3.75;
/** From this width on a reason has room beside its value: as the columns of the table are. */
const WIDE_REM = 70;

/** In rem; `width_rem` is that of the table. Every reason that has a text here is read in full. */
export function rowHeight(hasValues: boolean, width_rem: number): number {
  return hasValues && width_rem < WIDE_REM ? HIGH_REM : LOW_REM;
}
