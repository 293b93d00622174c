import { randomUUID } from "node:crypto";

const USABLE = /^[A-Za-z0-9-]{8,64}$/;

/** The caller's correlation id where it is harmless in a header, a log and an event; else a new one. */
export function correlationIdOf(given: string | readonly string[] | undefined): string {
  return typeof given === "string" && USABLE.test(given) ? given : randomUUID();
}
