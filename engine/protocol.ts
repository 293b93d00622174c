import type { ErrorFacts } from "../lib/errors.ts";

/**
 * What the engine and its protocols say to each other. A protocol (saga.ts, tcc.ts) is pure: from an
 * instance and an input it answers the instance that follows and the effects that are owed. The engine
 * persists the one before it performs the other.
 */

/** Ask a participant. The answer comes back as a reply that carries `token`. */
export interface CallEffect {
  readonly kind: "call";
  /** Step and attempt: a reply whose token the instance no longer awaits is late, and ignored. */
  readonly token: string;
  readonly action: string;
  readonly params: object;
  readonly timeoutMs: number;
}

/** Append an event to the outbox, in the transaction that persists the instance. */
export interface PublishEffect {
  readonly kind: "publish";
  readonly type: string;
  readonly data: object;
}

export type Effect = CallEffect | PublishEffect;

export type Reply =
  | { readonly ok: true; readonly result: unknown }
  | { readonly ok: false; readonly error: ErrorFacts };

/** Everything that can happen to an instance. */
export type Input =
  | { readonly kind: "reply"; readonly token: string; readonly reply: Reply }
  | { readonly kind: "event"; readonly eventId: string; readonly type: string; readonly data: object }
  | { readonly kind: "timer" }
  /** Somebody wants it undone, as long as that is possible. */
  | { readonly kind: "cancel"; readonly code: string; readonly message: string }
  /** An operator frees it: try again now, take the step in hand for done, or undo everything. */
  | { readonly kind: "operator"; readonly action: OperatorAction };

export type OperatorAction = "retry" | "skip" | "compensate" | "force-cancel";

/** What the engine needs to know of an instance, whatever its protocol. */
export interface Instance {
  readonly id: string;
  readonly type: string;
  /** Counts the persisted changes: a save goes through only from the version it was made from. */
  readonly version: number;
  readonly state: string;
  /** Events published so far: the aggregate version of the last one. */
  readonly published: number;
  readonly correlationId: string;
  /** The W3C trace context that it was started in, where that is traced. */
  readonly traceparent?: string;
  /** Wake it this long after the save, on any node; null: nothing is owed. It is the lease on owed calls. */
  readonly wakeInMs: number | null;
}

export interface Outcome<I extends Instance> {
  readonly instance: I;
  readonly effects: readonly Effect[];
  /** False: the input changes nothing (a duplicate, or late). */
  readonly changed: boolean;
  /** True: persist before anything else. False: carry it in memory to the next durable point; a crash repeats it. */
  readonly durable: boolean;
}

export interface Protocol<I extends Instance> {
  advance(instance: I, input: Input, now: Date): Outcome<I>;
  /** The calls that the instance's state owes, derived from nothing else. */
  owed(instance: I): readonly CallEffect[];
  hasEnded(instance: I): boolean;
}
