import type { ReceivedMessage } from "./bus.ts";
import { type OwnedPartition, partitionName } from "./postgres-membership.ts";
import type { Batch } from "./postgres-reader.ts";

const readers = new Map<string, Set<NearMessages>>();

/** Gives what this process has published, in the order of its offsets, to its own readers of the same bus. */
export function offer(place: string, messages: readonly ReceivedMessage[]): void {
  for (const reader of readers.get(place) ?? []) reader.add(messages);
}

/** More than this waits in the log and not in memory. */
const MESSAGES_MAX = 2_000;

/**
 * A reader's messages that were published in its own process: it knows them with their offsets, and need not have the
 * log read to it. They count only from exactly where the reader stands; before a gap stand messages of others, which are read.
 */
export class NearMessages {
  readonly #owned: ReadonlyMap<string, OwnedPartition>;
  readonly #types: readonly string[] | undefined;
  /** Of each partition the newest messages without a gap. */
  readonly #runs = new Map<string, ReceivedMessage[]>();
  readonly #leave: () => void;
  #count = 0;

  constructor(
    place: string,
    owned: ReadonlyMap<string, OwnedPartition>,
    types: readonly string[] | undefined,
  ) {
    this.#owned = owned;
    this.#types = types;
    const here = readers.get(place) ?? new Set();
    readers.set(place, here.add(this));
    this.#leave = () => {
      here.delete(this);
      if (here.size === 0) readers.delete(place);
    };
  }

  close(): void {
    this.#leave();
    this.clear();
  }

  clear(): void {
    this.#runs.clear();
    this.#count = 0;
  }

  add(messages: readonly ReceivedMessage[]): void {
    for (const message of messages) {
      const name = partitionName(message);
      if (!this.#owned.has(name)) continue;
      const run = this.#runs.get(name);
      const last = run?.at(-1);
      if (run !== undefined && last !== undefined && Number(last.offset) + 1 === Number(message.offset))
        run.push(message);
      else {
        this.#count -= run?.length ?? 0;
        this.#runs.set(name, [message]);
      }
      this.#count += 1;
    }
    if (this.#count > MESSAGES_MAX) this.clear();
  }

  isEmpty(): boolean {
    return this.#count === 0;
  }

  /** Whether it would have been known without reading. */
  has({ topic, partition, offset }: { topic: string; partition: number; offset: number }): boolean {
    const run = this.#runs.get(partitionName({ topic, partition }));
    const [first, last] = [run?.at(0), run?.at(-1)];
    if (first === undefined || last === undefined) return false;
    return Number(first.offset) <= offset && offset <= Number(last.offset);
  }

  /** What comes next in these partitions and is here: nothing, if anything of it has to be read from the log. */
  take(partitions: readonly OwnedPartition[], limit: number): Batch | undefined {
    const runs: { readonly partition: OwnedPartition; readonly run: ReceivedMessage[] }[] = [];
    for (const partition of partitions) {
      const run = this.#after(partition);
      const first = run?.[0];
      if (run === undefined || first === undefined) continue;
      if (Number(first.offset) > partition.position) return undefined;
      runs.push({ partition, run });
    }
    if (runs.length === 0) return undefined;
    const messages: ReceivedMessage[] = [];
    const ends = new Map<OwnedPartition, number>();
    let room = limit;
    for (const { partition, run } of runs) {
      const taken = run.splice(0, room);
      if (taken.length === 0) break;
      room -= taken.length;
      this.#count -= taken.length;
      partition.position += taken.length;
      ends.set(partition, partition.position);
      for (const message of taken) if (this.#isWanted(message)) messages.push(message);
    }
    return { messages, ends, isFull: room === 0, isNear: true };
  }

  /** Without what has been read meanwhile. */
  #after(partition: OwnedPartition): ReceivedMessage[] | undefined {
    const run = this.#runs.get(partitionName(partition));
    if (run === undefined) return undefined;
    const isRead = (message: ReceivedMessage) => Number(message.offset) < partition.position;
    const known = run.findIndex((message) => !isRead(message));
    const read = run.splice(0, known === -1 ? run.length : known).length;
    this.#count -= read;
    return run;
  }

  /** Like the log's reader: whoever acts on some types gets those, and what has none. */
  #isWanted({ headers }: ReceivedMessage): boolean {
    const type = headers["event-type"];
    return this.#types === undefined || type === undefined || this.#types.includes(type);
  }
}
