import type { Database } from "../database.ts";
import { InvariantError } from "../errors.ts";
import type { ReceivedMessage } from "./bus.ts";
import type { NearMessages } from "./near-messages.ts";
import { commitPositions, fetchEntries, type LogRow } from "./postgres-group.store.ts";
import type { Membership, OwnedPartition } from "./postgres-membership.ts";

export interface Batch {
  readonly messages: readonly ReceivedMessage[];
  /** The offset after the last message of each partition, handed over or passed by. */
  readonly ends: ReadonlyMap<OwnedPartition, number>;
  /** There may be more to read at once. */
  readonly isFull: boolean;
  /** It came from this process, and not from the log. */
  readonly isNear: boolean;
}

const EMPTY: Batch = { messages: [], ends: new Map(), isFull: false, isNear: false };
/**
 * How long the stored position may stand still. What a member that dies has not stored is handed over once more, and each
 * consumer's inbox knows it; what was only passed by is passed by once more.
 */
const COMMIT_MS = 50;
const PASSED_COMMIT_MS = 250;

export interface ReaderOptions {
  readonly database: Database;
  readonly group: string;
  readonly types?: readonly string[];
  readonly membership: Membership;
  readonly near: NearMessages;
  readonly batchSizeMax: number;
  /** While messages come from this process, the log is read this often for those of others; ever less while there are none. */
  readonly pollMinMs: number;
  readonly pollMaxMs: number;
  readonly retryDelayMs: number;
  readonly retryDelayMaxMs: number;
  /** Called before each fetch: news from here on may be missing from it. */
  readonly onFetch: () => void;
}

/**
 * Reads all partitions of a member with one statement. Positions are kept in memory, so that the next fetch
 * need not wait for the commit of the one before.
 */
export class PartitionReader {
  readonly paused = new Set<string>();
  readonly #options: ReaderOptions;
  #ahead: Promise<Batch> | undefined;
  /** What was fetched under an earlier generation is not used. */
  #generation = 0;
  #rotation = 0;
  #readAtMs = Number.NEGATIVE_INFINITY;
  #readEveryMs = 0;
  /** Since the log was read. */
  #hadNear = false;
  #committedAtMs = Number.NEGATIVE_INFINITY;
  /** Nothing but passed by since the last commit. */
  #onlyPassed = true;

  constructor(options: ReaderOptions) {
    this.#options = options;
  }

  async next(): Promise<Batch> {
    const reading = this.#ahead ?? this.#fetch();
    this.#ahead = undefined;
    return await reading;
  }

  /** Begins to fetch what comes after the batch in hand. */
  readAhead(): void {
    if (this.#ahead !== undefined) return;
    this.#ahead = this.#fetch();
    // Reported by next(); meanwhile it must not count as unhandled.
    this.#ahead.catch(() => undefined);
  }

  /** Drops what was read ahead and goes back to what is not handled. */
  discard(): void {
    this.#generation += 1;
    this.#ahead = undefined;
    this.#hadNear = false;
    this.#options.near.clear();
    for (const partition of this.#options.membership.owned.values()) partition.position = partition.handled;
  }

  /** The batch's effects are durable: what is fetched from here on comes after it. */
  succeeded(batch: Batch): void {
    if (batch.messages.length > 0) this.#onlyPassed = false;
    for (const [partition, end] of batch.ends) {
      partition.failures = 0;
      partition.handled = end;
      partition.position = Math.max(partition.position, end);
    }
  }

  /**
   * The handler said "not now". Nobody knows which message was the reason, so each partition comes again
   * alone, after its own back-off: the healthy ones go on, and each keeps its order.
   */
  postpone(batch: Batch): void {
    const { retryDelayMs, retryDelayMaxMs } = this.#options;
    for (const partition of batch.ends.keys()) {
      const delayMs = Math.min(retryDelayMaxMs, retryDelayMs * 2 ** Math.min(partition.failures, 20));
      partition.failures += 1;
      partition.retryAtMs = performance.now() + delayMs;
    }
    this.discard();
  }

  /** How long until a postponed partition is due. */
  retryInMs(): number {
    const waiting = [...this.#options.membership.owned.values()].filter((one) => one.failures > 0);
    return Math.min(...waiting.map((one) => Math.max(0, one.retryAtMs - performance.now())));
  }

  /** `commit`, unless the last one was a moment ago. */
  async commitDue(): Promise<void> {
    const everyMs = this.#onlyPassed ? PASSED_COMMIT_MS : COMMIT_MS;
    if (performance.now() - this.#committedAtMs < everyMs) return;
    await this.commit();
  }

  /** Stores how far this member is, also what an earlier attempt could not store. */
  async commit(): Promise<void> {
    const { database, group, membership } = this.#options;
    const open = [...membership.owned.values()].filter((one) => one.handled > one.committed);
    if (open.length === 0) return;
    this.#committedAtMs = performance.now();
    const positions = open.map(({ topic, partition, handled }) => ({ topic, partition, position: handled }));
    const stored = await commitPositions(database, group, membership.member, positions);
    this.#onlyPassed = true;
    const names = new Set(stored.map((one) => `${one.topic}/${one.partition}`));
    open.forEach((partition, index) => {
      if (names.has(`${partition.topic}/${partition.partition}`)) {
        partition.committed = positions[index]?.position ?? partition.committed;
      } else {
        membership.lose(partition);
      }
    });
  }

  async #fetch(): Promise<Batch> {
    const { database, batchSizeMax, types, onFetch } = this.#options;
    onFetch();
    const partitions = this.#readable();
    if (partitions.length === 0) return EMPTY;
    const near = this.#takeNear(partitions);
    if (near !== undefined) return near;
    const generation = this.#generation;
    const rows = await fetchEntries(database, partitions, batchSizeMax, types);
    if (generation !== this.#generation) return EMPTY;
    this.#noteRead(rows);
    // A full batch may have come from the first partitions alone: the next one begins further on.
    const isFull = rows.length === batchSizeMax;
    if (isFull) this.#rotation += 1;
    return { ...gather(rows, partitions), isFull, isNear: false };
  }

  /** What this process has published itself; undefined when it is time to read the log, or when only the log knows. */
  #takeNear(partitions: readonly OwnedPartition[]): Batch | undefined {
    const { near, batchSizeMax } = this.#options;
    const now = performance.now();
    if (now - this.#readAtMs < this.#readEveryMs) {
      const batch = near.take(partitions, batchSizeMax);
      this.#hadNear ||= batch !== undefined;
      if (batch !== undefined) return batch;
      if (this.#hadNear && near.isEmpty()) return EMPTY;
    }
    this.#readAtMs = now;
    this.#hadNear = false;
    return undefined;
  }

  #noteRead(rows: readonly LogRow[]): void {
    const { near, pollMinMs, pollMaxMs } = this.#options;
    const isForeign = rows.some((row) => !near.has(row));
    this.#readEveryMs = isForeign
      ? pollMinMs
      : Math.min(pollMaxMs, Math.max(pollMinMs, this.#readEveryMs * 1.5));
  }

  #readable(): OwnedPartition[] {
    const now = performance.now();
    const open = [...this.#options.membership.owned.values()].filter(
      (one) => one.retryAtMs <= now && !this.paused.has(one.topic),
    );
    const again = open.find((one) => one.failures > 0);
    if (again !== undefined) return [again];
    const start = this.#rotation % Math.max(1, open.length);
    return [...open.slice(start), ...open.slice(0, start)];
  }
}

function gather(rows: readonly LogRow[], partitions: readonly OwnedPartition[]) {
  const ends = new Map<OwnedPartition, number>();
  let current: OwnedPartition | undefined;
  const messages: ReceivedMessage[] = [];
  for (const row of rows) {
    if (current?.partition !== row.partition || current.topic !== row.topic) {
      current = partitions.find((one) => one.partition === row.partition && one.topic === row.topic);
    }
    if (current === undefined || row.offset < current.position) {
      throw new InvariantError("the bus read a message out of order", { ...row, value: undefined });
    }
    current.position = row.offset + 1;
    ends.set(current, current.position);
    const { key, value, headers } = row;
    if (key === null || value === null || headers === null) continue;
    messages.push({
      topic: row.topic,
      partition: row.partition,
      offset: String(row.offset),
      key,
      value,
      headers: JSON.parse(headers) as Record<string, string>,
      timestampMs: Math.trunc(row.timestampMs),
    });
  }
  return { messages, ends };
}
