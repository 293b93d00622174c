/**
 * A named SQL statement. PostgreSQL keeps one prepared plan per name and connection, so a name must
 * always mean the same text: two statements under one name stop the process at load time.
 */
export interface Statement {
  readonly name: string;
  readonly text: string;
}

const known = new Map<string, string>();

/** Defines a statement. @throws Error when `name` is taken by another text. */
export function statement(name: string, text: string): Statement {
  const tidy = text.trim();
  const before = known.get(name);
  if (before !== undefined && before !== tidy) {
    throw new Error(`statement name "${name}" is used for two different texts`);
  }
  known.set(name, tidy);
  return { name, text: tidy };
}

/** Whether it only reads: it neither writes nor locks. One that cannot be told from its text counts as a write. */
export function onlyReads({ text }: Statement): boolean {
  return (
    /^select\b/i.test(text) && !/\bfor (no key )?(update|share)\b|\bnextval\b|advisory|set_config/i.test(text)
  );
}
