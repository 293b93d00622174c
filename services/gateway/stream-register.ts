import type { ServerResponse } from "node:http";
import { OverloadedError } from "../../lib/errors.ts";
import { TooManyStreamsError } from "./refusals.ts";

/** One client that follows an order. */
export interface Stream {
  readonly orderId: string;
  readonly subject: string;
  readonly response: ServerResponse;
  readonly endsAt: number;
  /** Number of the last move that it was told of. */
  known: number;
}

export interface StreamLimits {
  readonly streamsMax: number;
  readonly streamsPerSubjectMax: number;
}

export interface StreamRegister {
  /** @throws OverloadedError, TooManyStreamsError */
  add(stream: Stream): void;
  /** Idempotent. */
  remove(stream: Stream): void;
  of(orderId: string): readonly Stream[];
  all(): readonly Stream[];
  orders(): Iterable<string>;
  count(): number;
}

/** Who follows which order, and how many streams each subject has. */
export function createRegister({ streamsMax, streamsPerSubjectMax }: StreamLimits): StreamRegister {
  const byOrder = new Map<string, Set<Stream>>();
  const bySubject = new Map<string, number>();
  let count = 0;
  return {
    add(stream) {
      const { orderId, subject } = stream;
      const ofSubject = bySubject.get(subject) ?? 0;
      if (count >= streamsMax) throw new OverloadedError("event streams", 5);
      if (ofSubject >= streamsPerSubjectMax) throw new TooManyStreamsError(streamsPerSubjectMax);
      const group = byOrder.get(orderId) ?? new Set();
      byOrder.set(orderId, group.add(stream));
      bySubject.set(subject, ofSubject + 1);
      count += 1;
    },
    remove(stream) {
      const { orderId, subject } = stream;
      const group = byOrder.get(orderId);
      if (!group?.delete(stream)) return;
      if (group.size === 0) byOrder.delete(orderId);
      const left = (bySubject.get(subject) ?? 1) - 1;
      if (left === 0) bySubject.delete(subject);
      else bySubject.set(subject, left);
      count -= 1;
    },
    of: (orderId) => [...(byOrder.get(orderId) ?? [])],
    all: () => [...byOrder.values()].flatMap((group) => [...group]),
    orders: () => [...byOrder.keys()],
    count: () => count,
  };
}
