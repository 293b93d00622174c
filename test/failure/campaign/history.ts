import type { Person } from "../../../scripts/demo/tokens.ts";

/** What a client has asked for, under which key, and everything that it was told about it. */
export interface Asked {
  readonly operation: "create" | "pay" | "cancel" | "refund";
  readonly key: string;
  readonly as: Person;
  readonly path: string;
  readonly body: object;
  /** What the client knows to be refused: somebody else's order, a key of another request. */
  readonly refusable: boolean;
  readonly firstSentAt: number;
  /** By the clock of performance.now(), like all times here. 0: no definite answer yet. */
  answeredAt: number;
  /** How many times it was sent and the outcome stayed open: 503, 504, 409 in progress, a broken connection. */
  unknowns: number;
  /** Every definite answer, in the order in which they came. */
  readonly answers: Answer[];
}

export interface Answer {
  readonly status: number;
  readonly code: string | undefined;
  readonly text: string;
  readonly body: Readonly<Record<string, unknown>>;
}

/** Something that a client was shown as a fact. */
export interface Seen {
  readonly what: "order" | "transaction";
  readonly id: string;
  readonly state: string;
}

/** What all clients have lived through. */
export class History {
  readonly asked: Asked[] = [];
  /** By what and id: the states that were shown. */
  readonly seen = new Map<string, Seen>();
  /** How often each answer came that leaves the outcome open, or broke the contract. */
  readonly opens = new Map<string, number>();
  /** How often a look at something came to nothing, by what came instead. */
  readonly blind = new Map<string, number>();
  /** Answers that no document tells of. */
  readonly broken = new Set<string>();
  /** From the first sending to the definite answer, with the time of the latter. */
  readonly latencies: { readonly at: number; readonly ms: number }[] = [];
  /** Whatever a story waited for and saw: orders confirmed, paid, cancelled, refunds accepted. */
  readonly goals: { readonly at: number; readonly ms: number }[] = [];

  count(open: string): void {
    this.opens.set(open, (this.opens.get(open) ?? 0) + 1);
  }

  sawNothing(instead: string): void {
    this.blind.set(instead, (this.blind.get(instead) ?? 0) + 1);
  }

  saw(what: Seen["what"], id: string, state: string): void {
    this.seen.set(`${what} ${id} ${state}`, { what, id, state });
  }
}

export const isAccepted = ({ status }: Answer) => status >= 200 && status < 300;
export const acceptedOf = (history: History, operation: Asked["operation"]) =>
  history.asked.filter((one) => one.operation === operation && one.answers.some(isAccepted));
