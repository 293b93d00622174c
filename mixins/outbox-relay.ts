import { createPoller, type Poller } from "../lib/poller.ts";
import { type PendingEvent, pendingEvents } from "./outbox.store.ts";
import { createHandover } from "./outbox-handover.ts";
import { BUCKETS, createBucketLease } from "./outbox-lease.ts";
import { createMarks } from "./outbox-marks.ts";
import { createPublishing, type PublishingOptions } from "./outbox-publishing.ts";

export interface RelayOptions extends PublishingOptions {
  /** Unique among all relays of the database. */
  readonly owner: string;
  readonly pollMs: number;
  readonly batchSize: number;
  readonly leaseMs: number;
  readonly onError: (error: unknown) => void;
}

export interface Relay {
  /** Topics that events wait for, as far as this relay has met them lately. */
  missingTopics(): readonly string[];
  start(): void;
  /** Something waits in the tables. */
  wake(): void;
  /** These have been committed, by this process. */
  handOver(events: readonly PendingEvent[]): void;
  /** Publishes what is in hand, gives its buckets back. */
  stop(): Promise<void>;
}

/**
 * A pass begins this far behind the last published position: positions are taken before the commit, so an
 * earlier one may appear late. Without such a mark each pass walks over the dead index entries of all events
 * since the last vacuum (one of the two changes that took the sketch from 1,240 to 2,293 orders/s). What is later still is found
 * by the full sweep.
 */
const LATE_POSITIONS = 1_000;
const SWEEP_INTERVAL_MS = 1_000;

/**
 * Moves committed events to the bus: takes what is handed over, or reads it in one short statement, publishes outside
 * any transaction, marks afterwards. A crash in between publishes again: at least once, in order per aggregate.
 */
export function createRelay(options: RelayOptions): Relay {
  const { database, owner, batchSize, leaseMs } = options;
  let sweptAt = Number.NEGATIVE_INFINITY;
  let mark = 0;
  const lease = createBucketLease(database, owner, leaseMs);
  const handover = createHandover(batchSize);
  const marks = createMarks(database, options.onError);
  const onPublished: RelayOptions["onPublished"] = (events, durationMs) => {
    handover.notePublished(events);
    options.onPublished(events, durationMs);
  };
  const publishing = createPublishing({ ...options, onPublished }, marks);

  const renew = async () => {
    if (!lease.isDue()) return;
    // Whoever takes a bucket over publishes what is not marked there once more.
    await marks.store();
    if (!(await lease.renew())) return;
    sweptAt = Number.NEGATIVE_INFINITY;
    handover.forget();
  };

  const advance = ({ position }: PendingEvent) => {
    mark = Math.max(mark, position - LATE_POSITIONS);
  };

  /** Answers whether there is more to read. */
  const publishPending = async (sweep: boolean) => {
    await marks.store();
    const events = await pendingEvents(database, sweep ? 0 : mark, lease.buckets(), batchSize);
    if (sweep) sweptAt = performance.now();
    // Committed late, or held up by a refusal: only a sweep finds both, in their order.
    if (events.some(({ behind }) => behind)) {
      sweptAt = Number.NEGATIVE_INFINITY;
      return true;
    }
    const last = events.at(-1);
    if (!last) return false;
    if (!(await publishing.publish(events))) return true;
    const full = events.length >= batchSize;
    // A sweep that met a whole batch has found a backlog, perhaps of buckets that were another's: on from there.
    if (sweep && full) mark = 0;
    advance(last);
    return full;
  };

  const pass = async () => {
    await renew();
    const { ready, read } = handover.take();
    const last = ready.at(-1);
    if (lease.buckets().length === 0) return false;
    const sweep = performance.now() - sweptAt >= SWEEP_INTERVAL_MS;
    // What other processes append comes no other way: only who has all buckets may leave it to the next sweep.
    if (sweep || last === undefined || lease.buckets().length < BUCKETS) return publishPending(sweep);
    if (!(await publishing.publish(ready))) return true;
    advance(last);
    return read;
  };

  const run = async () => {
    let more = true;
    try {
      more = await pass();
      return more;
    } finally {
      if (more) handover.doubt();
    }
  };

  const poller: Poller = createPoller({
    name: `relay ${database.name}`,
    intervalMs: options.pollMs,
    run,
    onError: options.onError,
  });
  return {
    start: poller.start,
    wake() {
      handover.doubt();
      poller.wake();
    },
    handOver(events) {
      handover.add(events);
      poller.wake();
    },
    missingTopics: publishing.missingTopics,
    async stop() {
      await poller.stop();
      await marks.store().catch(options.onError);
      await lease.release().catch(options.onError);
    },
  };
}
