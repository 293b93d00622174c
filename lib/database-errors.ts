import { DatabaseUnavailableError } from "./errors.ts";

/** What an error of PostgreSQL, or of the way to it, means for whoever called. */

// Not by `instanceof Error`: Node's own connection errors are of another realm than code that runs in a vm, as
// under jest, and an outage would then look like a bug.
function codeOf(error: unknown): string {
  return typeof error === "object" && error !== null && "code" in error ? String(error.code) : "";
}

/** PostgreSQL undid the transaction for another's sake: running it again may well succeed. */
export function isSerializationFailure(error: unknown): boolean {
  const code = codeOf(error);
  return code === "40001" || code === "40P01";
}

/** Others were in the way: a lock, a conflict, or a statement that took too long. Nothing has happened. */
export function isInTheWay(error: unknown): boolean {
  // 55P03: lock not available, 57014: statement timeout.
  return isSerializationFailure(error) || /^(55P03|57014)$/.test(codeOf(error));
}

/** Repeating the transaction may well succeed: others were in the way, or the database is away. */
export function isTransientDatabaseError(error: unknown): boolean {
  return isInTheWay(error) || isConnectionError(error);
}

// 08*: connection exceptions, 57P0x: shutting down or starting up, 53*: out of resources (connections, disk).
const UNAVAILABLE = /^(08|53|57P0)|^(ECONN|EPIPE|ETIMEDOUT|ENOTFOUND|EAI_AGAIN|EHOSTUNREACH)/;
const BROKEN =
  /Connection terminated|timeout exceeded when trying to connect|not queryable|Client has encountered/;

/** PostgreSQL's word for an error that ends the session, or never lets one begin. */
function isFatal(error: unknown): boolean {
  return typeof error === "object" && error !== null && "severity" in error && error.severity === "FATAL";
}

/** The connection, not the statement, is what failed. */
export function isConnectionError(error: unknown): boolean {
  return isFatal(error) || UNAVAILABLE.test(codeOf(error)) || BROKEN.test(String(error));
}

/** What went wrong as callers know it: an outage as an error of ours, everything else as it is. */
export function asDatabaseError(error: unknown, database: string): unknown {
  return isConnectionError(error) ? new DatabaseUnavailableError(database, { cause: error }) : error;
}
