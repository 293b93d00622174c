import type { Instance } from "./protocol.ts";

/** TRY_SUCCEEDED is passed through: all tries are in, the decision is being taken. */
export type TccState =
  | "INITIAL"
  | "TRYING"
  | "TRY_SUCCEEDED"
  | "CONFIRMING"
  | "CONFIRMED"
  | "CANCELLING"
  | "CANCELLED";

export type ParticipantState = "PENDING" | "TRY_SUCCESS" | "TRY_FAILED" | "CONFIRMED" | "CANCELLED";

export interface TccParticipant {
  readonly name: string;
  readonly state: ParticipantState;
  /** Tries of the operation in hand. */
  readonly attempts: number;
  readonly error?: TccFailure;
}

export interface TccFailure {
  readonly code: string;
  readonly message: string;
  readonly participant: string;
}

export interface TccInstance extends Instance {
  readonly state: TccState;
  readonly input: unknown;
  readonly participants: readonly TccParticipant[];
  readonly failure?: TccFailure;
  readonly businessKey: string;
  readonly ownerId: string;
  /** Milliseconds until its deadline, counted from its insert by the database's clock. */
  readonly deadlineMs: number;
  /** The deadline had passed, by the database's clock, when it was loaded. */
  readonly expired: boolean;
  /** A retry limit is used up; still retried, slowly. */
  readonly stuck: boolean;
}

export interface NewTcc {
  readonly id: string;
  readonly type: string;
  readonly input: unknown;
  readonly businessKey: string;
  readonly ownerId: string;
  readonly correlationId: string;
  readonly traceparent?: string;
}
