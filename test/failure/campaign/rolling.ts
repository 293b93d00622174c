import type { Cluster } from "./cluster.ts";
import type { History } from "./history.ts";
import { MEMBER_NAMES } from "./schedule.ts";

/** Every process replaced by a new one, under load: nobody is to notice. */
export interface Rolling {
  readonly replaced: number;
  /** Requests that changed something and were sent meanwhile. */
  readonly requests: number;
  /** By what came instead of an answer: how often a request had to be sent again, or a look came to nothing. */
  readonly again: Readonly<Record<string, number>>;
}

/** What a client is told to send again under the same key (docs/api.md). */
const RETRYABLE = /^(503 |429 |409 REQUEST_IN_PROGRESS$)/;

/** One after the other, as a deployment does: the next when the one before is ready. */
export async function replaceAll(
  cluster: Cluster,
  history: History,
  tell: (line: string) => void,
): Promise<Rolling> {
  const before = { requests: history.asked.length, ...snapshot(history) };
  for (const name of MEMBER_NAMES) {
    tell(`replace ${name}`);
    await cluster.replace(name);
  }
  const after = snapshot(history);
  const again = [...after.counts].map(([what, count]) => [what, count - (before.counts.get(what) ?? 0)]);
  return {
    replaced: MEMBER_NAMES.length,
    requests: history.asked.length - before.requests,
    again: Object.fromEntries(again.filter(([, count]) => count !== 0)),
  };
}

function snapshot({ opens, blind }: History) {
  const looks = [...blind].map(([what, count]) => [`${what} to a look`, count] as const);
  return { counts: new Map([...opens, ...looks]) };
}

export function rollingViolations({ again }: Rolling): string[] {
  return Object.entries(again)
    .filter(([what]) => !RETRYABLE.test(what))
    .map(([what, count]) => `while processes were replaced: ${what}, ${count} times`);
}

export function rollingLine({ replaced, requests, again }: Rolling): string {
  const failed = Object.entries(again).map(([what, count]) => `${what} ${count}`);
  return `rolling restart of all ${replaced} processes: ${requests} requests, sent or looked again: ${failed.join(", ") || "none"}`;
}
