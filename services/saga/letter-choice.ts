import type { Database } from "../../lib/database.ts";
import type { FailedLetter, LetterChoice } from "../../lib/operator-contracts.ts";
import { findLetters, openLetters, type StoredLetter } from "./dead-letters.store.ts";

/** Dealt with at once. */
export const LETTERS_MAX = 100;

const NOT_FOUND = { code: "LETTER_NOT_FOUND", message: "There is no such dead letter." };

interface Chosen {
  readonly letters: readonly StoredLetter[];
  /** Those that were named and are not there. */
  readonly missing: readonly FailedLetter[];
}

/** The letters that an operator means. */
export async function chosenLetters(database: Database, choice: LetterChoice): Promise<Chosen> {
  const { letterIds } = choice;
  if (letterIds === undefined)
    return { letters: await openLetters(database, choice, LETTERS_MAX), missing: [] };
  const letters = await findLetters(database, letterIds);
  const known = new Set(letters.map(({ id }) => id));
  const missing = letterIds.filter((id) => !known.has(id));
  return { letters, missing: missing.map((letterId) => ({ letterId, error: NOT_FOUND })) };
}
