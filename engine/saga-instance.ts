import type { Failure } from "./define.ts";
import type { Instance } from "./protocol.ts";

/** RUNNING forward, COMPENSATING backward; STUCK: a retry limit is used up, still retried slowly. */
export type SagaState = "RUNNING" | "COMPENSATING" | "STUCK" | "COMPLETED" | "COMPENSATED";

export type StepStatus = "RUNNING" | "SUCCEEDED" | "FAILED" | "UNKNOWN" | "COMPENSATING" | "COMPENSATED";

export interface StepRecord {
  readonly name: string;
  readonly status: StepStatus;
  readonly attempts: number;
  /** Milliseconds since 1970: a text would be made, parsed and made again at each of the saga's saves. */
  readonly startedAtMs: number;
  readonly endedAtMs?: number;
  readonly error?: { readonly code: string; readonly message: string };
}

export interface EarlyEvent {
  readonly eventId: string;
  readonly type: string;
  readonly data: object;
}

/** What changes while a saga runs; kept as one document. */
export interface SagaProgress {
  readonly direction: "forward" | "backward";
  readonly results: Readonly<Record<string, unknown>>;
  readonly steps: readonly StepRecord[];
  readonly failure?: Failure;
  /** Events that came before their step: kept until awaited. */
  readonly early?: readonly EarlyEvent[];
}

export interface SagaInstance extends Instance {
  readonly state: SagaState;
  /** The step in hand, forward or backward; null once it has ended. */
  readonly step: string | null;
  readonly attempt: number;
  readonly input: unknown;
  readonly progress: SagaProgress;
  /** What the saga is about (an order's id); it is found by it. */
  readonly businessKey: string;
  /** Whose it is: the owner may read it. */
  readonly ownerId: string;
}

export interface NewSaga {
  readonly id: string;
  readonly type: string;
  readonly input: unknown;
  readonly businessKey: string;
  readonly ownerId: string;
  readonly correlationId: string;
  readonly traceparent?: string;
}
