/** Answers as people read them. */

/** Columns as wide as what stands in them; nothing is cut. */
export function table(head: readonly string[], rows: readonly (readonly (string | number)[])[]): string[] {
  const cells = [head, ...rows.map((row) => row.map(String))];
  const widths = head.map((_, column) => Math.max(...cells.map((row) => row[column]?.length ?? 0)));
  return cells.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join("  ")
      .trimEnd(),
  );
}

/** To the second: what comes within one is told apart by its order. */
export const time = (iso: string): string => `${iso.slice(0, 10)} ${iso.slice(11, 19)}Z`;

export const reasonText = (error: { code: string; message: string } | undefined): string =>
  error === undefined ? "" : oneLine(error.message === "" ? error.code : `${error.code}: ${error.message}`);

/** What others wrote may hold anything, also what moves a terminal's cursor. */
export const oneLine = (text: string): string => text.replaceAll(/[\p{Cc}\p{Cf}]+/gu, " ").slice(0, 300);
