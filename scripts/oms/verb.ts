import type { OpsApi } from "./api.ts";

/** What an operator can say, and how it is read: the same on the command line and in the REPL. */

export interface Option {
  /** What stands for its value in the help; none: it is there or not. */
  readonly value?: string;
  readonly about: string;
  readonly required?: true;
}

export interface Verb {
  readonly name: string;
  readonly summary: string;
  /** Ids that follow the verb. */
  readonly ids?: { readonly min: number; readonly max: number };
  readonly options?: Readonly<Record<string, Option>>;
  /** Further lines of its help. */
  readonly more?: string;
  /** What is wrong with the words together. */
  readonly check?: (words: Words) => string | undefined;
  readonly run: (api: OpsApi, words: Words) => Promise<Outcome>;
}

/** What was said with a verb. */
export interface Words {
  readonly ids: readonly string[];
  readonly options: Readonly<Record<string, string | true>>;
}

export interface Outcome {
  /** What --json prints. */
  readonly data: unknown;
  /** What people read. */
  readonly lines: readonly string[];
  /** refused: not all of it was done. partly: something could not be asked. */
  readonly ending?: "refused" | "partly";
}

export const REASON: Option = {
  value: "TEXT",
  about: "why, in words; it stays in the trail with your name",
  required: true,
};
export const LIMIT: Option = { value: "N", about: "at most so many (20)" };

export function textOf({ options }: Words, name: string): string | undefined {
  const given = options[name];
  return typeof given === "string" ? given : undefined;
}

export function limitOf(words: Words, fallback = 20): number {
  return Number(textOf(words, "limit") ?? fallback);
}

export const firstOf = ({ ids }: Words): string => ids[0] ?? "";
