import { isIPv4 } from "node:net";
import type { Refusal } from "../../lib/contracts.ts";
import { factsOf } from "../../lib/errors.ts";
import { createPoller, type Poller } from "../../lib/poller.ts";
import type { WebRequest } from "./web.ts";

export interface RefusalTrailOptions {
  readonly record: (refusals: readonly Refusal[]) => Promise<unknown>;
  readonly onError: (error: unknown) => void;
  readonly intervalMs?: number;
  /** Different refusals that wait to be recorded; more of them are counted together. */
  readonly waitingMax?: number;
}

/** What is told of a refused request. */
export interface Refused {
  readonly kind: Refusal["kind"];
  readonly subject?: string;
  readonly route: string;
  readonly address: string | undefined;
}

export interface RefusalTrail extends Pick<Poller, "start"> {
  note(refused: Refused): void;
  /** Records what waits. */
  stop(): Promise<void>;
}

/**
 * Counts refusals and records them some seconds later, those alike as one: a flood of them must neither slow what is
 * served nor fill the audit trail. While they cannot be recorded they wait.
 */
export function createRefusalTrail(options: RefusalTrailOptions): RefusalTrail {
  const { record, onError, intervalMs = 2_000, waitingMax = 1_000 } = options;
  let waiting = new Map<string, Refusal>();

  const add = (refusal: Refusal) => {
    const key = [refusal.kind, refusal.subject, refusal.route, refusal.network].join("\n");
    const known = waiting.get(key);
    if (known === undefined && waiting.size >= waitingMax && refusal.route !== "others") {
      add({ ...refusal, subject: "others", route: "others", network: "others" });
      return;
    }
    waiting.set(key, known === undefined ? refusal : joined(known, refusal));
  };
  const flush = async () => {
    if (waiting.size === 0) return false;
    const taken = [...waiting.values()];
    waiting = new Map();
    try {
      await record(taken);
    } catch (error) {
      for (const refusal of taken) add(refusal);
      throw error;
    }
    return false;
  };
  const poller = createPoller({ name: "refusal trail", intervalMs, run: flush, onError });
  return {
    start: () => poller.start(),
    note({ kind, subject = "unknown", route, address }) {
      const at = new Date().toISOString();
      add({ kind, subject, route, network: networkOf(address), count: 1, firstAt: at, lastAt: at });
    },
    async stop() {
      await poller.stop();
      await flush().catch(onError);
    },
  };
}

/** What a refused request is recorded as; a request without a token is no attempt to be somebody. */
export function refusalKindOf(status: number, error: unknown): Refusal["kind"] | undefined {
  if (status === 403) return "auth.forbidden";
  if (status === 429) return "rate.limited";
  return status === 401 && factsOf(error).data.tokenGiven === true ? "auth.refused" : undefined;
}

export function refusedOf(kind: Refusal["kind"], request: WebRequest, address: string | undefined): Refused {
  const { method = "", subject } = request;
  const route = request.$alias === undefined ? "(no route)" : `/${request.$alias.path}`;
  return { kind, subject, route: `${method} ${route}`, address };
}

function joined(a: Refusal, b: Refusal): Refusal {
  return {
    ...a,
    count: a.count + b.count,
    firstAt: a.firstAt < b.firstAt ? a.firstAt : b.firstAt,
    lastAt: a.lastAt > b.lastAt ? a.lastAt : b.lastAt,
  };
}

/** An address tells people apart, which the trail need not: the first 24 bits of IPv4, the first 48 of IPv6. */
export function networkOf(address = ""): string {
  const plain = address.replace(/^::ffff:(?=\d+\.)/i, "");
  if (isIPv4(plain)) return `${plain.split(".").slice(0, 3).join(".")}.0/24`;
  const groups = expanded(plain);
  return groups === undefined ? "unknown" : `${groups.slice(0, 3).join(":")}::/48`;
}

/** The eight groups of an IPv6 address; undefined when it is none. */
function expanded(address: string): string[] | undefined {
  const [head = "", tail] = address.split("%", 1)[0]?.split("::") ?? [];
  const before = head.split(":").filter(Boolean);
  const after = tail?.split(":").filter(Boolean) ?? [];
  const zeros = Array<string>(Math.max(0, 8 - before.length - after.length)).fill("0");
  const groups = tail === undefined ? before : [...before, ...zeros, ...after];
  return groups.length === 8 ? groups : undefined;
}
