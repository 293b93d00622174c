import type { PendingEvent } from "./outbox.store.ts";

/**
 * Events on the short way out: from the transaction of this process that has committed them to its relay, which needs
 * not read them. The tables decide as before, this only knows what they would say: an event goes this way if its
 * predecessor has been published by this very relay, for then nothing of its aggregate waits or is refused. All else is
 * found by a read.
 */
export interface Handover {
  /** Takes over what has been committed. */
  add(events: readonly PendingEvent[]): void;
  /** What may be published at once, in its order, and whether the tables have to be read for more. */
  take(): { readonly ready: readonly PendingEvent[]; readonly read: boolean };
  notePublished(events: readonly PendingEvent[]): void;
  /** The tables know more than came this way. */
  doubt(): void;
  /** Others may have published meanwhile: nothing that was known holds. */
  forget(): void;
}

/** Of so many aggregates the last version is remembered: two megabytes. Of others the next event is read. */
const AGGREGATES_MAX = 20_000;

export function createHandover(eventsMax: number): Handover {
  let waiting: PendingEvent[] = [];
  let isDoubtful = true;
  const published = new Map<string, number>();
  return {
    add(events) {
      waiting.push(...events);
      if (waiting.length <= eventsMax) return;
      // While nothing can be published they are better kept in the tables.
      waiting = [];
      isDoubtful = true;
    },
    take() {
      const taken = waiting;
      waiting = [];
      const read = isDoubtful || taken.length === 0;
      isDoubtful = false;
      return read ? { ready: [], read } : sift(taken, published);
    },
    notePublished(events) {
      for (const { aggregateId, aggregateVersion } of events) {
        const last = published.get(aggregateId) ?? 0;
        // The newest stand last, the oldest are forgotten first.
        published.delete(aggregateId);
        published.set(aggregateId, Math.max(last, aggregateVersion));
      }
      for (const aggregateId of published.keys()) {
        if (published.size <= AGGREGATES_MAX) break;
        published.delete(aggregateId);
      }
    },
    doubt() {
      isDoubtful = true;
    },
    forget() {
      waiting = [];
      isDoubtful = true;
      published.clear();
    },
  };
}

function sift(
  events: readonly PendingEvent[],
  published: ReadonlyMap<string, number>,
): ReturnType<Handover["take"]> {
  const ready: PendingEvent[] = [];
  const last = new Map<string, number>();
  let read = false;
  for (const event of events) {
    const { aggregateId, aggregateVersion } = event;
    const predecessor = last.get(aggregateId) ?? published.get(aggregateId) ?? 0;
    // A read was faster.
    if (aggregateVersion <= predecessor) continue;
    if (aggregateVersion === predecessor + 1) {
      last.set(aggregateId, aggregateVersion);
      ready.push(event);
    } else read = true;
  }
  return { ready, read };
}
