import type { CallEffect, Input, OperatorAction, Outcome, Protocol, Reply } from "./protocol.ts";
import type { TccDefinition, TccParticipantDefinition, TccPhase } from "./tcc-define.ts";
import type { NewTcc, TccFailure, TccInstance, TccParticipant, TccState } from "./tcc-instance.ts";

/**
 * The TCC protocol: pure. All tries go out together; when all have succeeded the decision is one
 * compare-and-set of the row, before its deadline, and is never reversed: the pivot's confirm goes first and
 * alone, a pivot that is refused for certain cancels all, one whose outcome is unknown is asked again until it
 * is known, and what follows it is retried until done. Cancelling is retried until done.
 */
export interface TccProtocol extends Protocol<TccInstance> {
  start(tcc: NewTcc, now: Date): Outcome<TccInstance>;
}

export interface TccOptions {
  readonly leaseMs: number;
  /** Of one operation. */
  readonly callTimeoutMs: number;
  /** A try that keeps failing for passing reasons is given up after so many. */
  readonly tryAttemptsMax: number;
}

const BACKOFF_FIRST_MS = 200;
const BACKOFF_MAX_MS = 30_000;
const STUCK_AFTER_ATTEMPTS = 25;

export function createTccProtocol(definitions: readonly TccDefinition[], options: TccOptions): TccProtocol {
  const byType = new Map(definitions.map((definition) => [definition.type, definition]));
  const definitionOf = (type: string) => {
    const definition = byType.get(type);
    if (!definition) throw new TypeError(`no TCC definition for ${type}`);
    return definition;
  };
  return {
    start(tcc) {
      const definition = definitionOf(tcc.type);
      const instance: TccInstance = {
        ...tcc,
        version: 1,
        state: "TRYING",
        participants: definition.participants.map(({ name }) => ({ name, state: "PENDING", attempts: 1 })),
        published: 0,
        wakeInMs: options.leaseMs,
        deadlineMs: definition.deadlineMs,
        expired: false,
        stuck: false,
      };
      const move = new Move(definition, instance, options);
      return move.outcome(true, move.owed());
    },
    advance: (instance, input) => new Move(definitionOf(instance.type), instance, options).take(input),
    owed: (instance) => new Move(definitionOf(instance.type), instance, options).owed(),
    hasEnded: ({ state }) => state === "CONFIRMED" || state === "CANCELLED",
  };
}

class Move {
  private readonly definition: TccDefinition;
  private readonly options: TccOptions;
  private instance: TccInstance;

  constructor(definition: TccDefinition, instance: TccInstance, options: TccOptions) {
    this.definition = definition;
    this.instance = instance;
    this.options = options;
  }

  take(input: Input): Outcome<TccInstance> {
    const phase = this.phase();
    if (phase === undefined || input.kind === "event") return this.unchanged();
    if (input.kind === "timer") return this.takeTimer();
    if (input.kind === "cancel") return this.cancelIfOpen(input.code, input.message);
    if (input.kind === "operator") return this.operate(input.action);
    const asked = this.asked(phase).find((one) => tokenOf(phase, one) === input.token);
    return asked ? this.takeReply(phase, asked.name, input.reply) : this.unchanged();
  }

  /** What the state asks of whom. */
  owed(): CallEffect[] {
    const phase = this.phase();
    return phase ? this.asked(phase).map((participant) => this.effect(phase, participant)) : [];
  }

  /** Whoever is open in this phase; the pivot before the others when confirming. */
  private asked(phase: TccPhase): readonly TccParticipant[] {
    const open = this.instance.participants.filter(({ state }) => isOpen(phase, state));
    const pivot = phase === "confirm" ? open.find(({ name }) => this.role(name).pivot) : undefined;
    return pivot ? [pivot] : open;
  }

  outcome(durable: boolean, effects: readonly CallEffect[]): Outcome<TccInstance> {
    return { instance: this.instance, effects, changed: true, durable };
  }

  /** Only while nothing is decided. */
  private cancelIfOpen(code: string, message: string): Outcome<TccInstance> {
    return this.instance.state === "TRYING"
      ? this.cancelAll({ code, message, participant: "" })
      : this.unchanged();
  }

  private operate(action: OperatorAction): Outcome<TccInstance> {
    if (action === "retry") return this.askAnew();
    if (action !== "force-cancel") return this.unchanged();
    // A cancellation that some participant cannot carry out is taken for done: the operator answers for it.
    if (this.instance.state === "CANCELLING") return this.end("CANCELLED");
    return this.cancelIfOpen("OPERATOR", "An operator cancelled it.");
  }

  /** Counts the attempts on, so that a late answer to an earlier one is not taken for an answer to these. */
  private askAnew(): Outcome<TccInstance> {
    const phase = this.phase();
    const asked = new Set(phase && this.asked(phase).map(({ name }) => name));
    const participants = this.instance.participants.map((one) =>
      asked.has(one.name) ? { ...one, attempts: one.attempts + 1 } : one,
    );
    this.set({ participants, stuck: false, wakeInMs: this.options.leaseMs });
    return this.outcome(true, this.owed());
  }

  private takeTimer(): Outcome<TccInstance> {
    if (this.instance.state === "TRYING" && this.instance.expired) {
      return this.cancelAll({ code: "TIMEOUT", message: "The deadline has passed.", participant: "" });
    }
    this.set({ wakeInMs: this.options.leaseMs });
    return this.outcome(false, this.owed());
  }

  private takeReply(phase: TccPhase, name: string, reply: Reply): Outcome<TccInstance> {
    if (reply.ok) return this.succeed(phase, name);
    const { type: code, message, retryable } = reply.error;
    const failure: TccFailure = { code, message, participant: name };
    const pivotRefused = phase === "confirm" && this.role(name).pivot && !retryable;
    if (pivotRefused || (phase === "try" && !retryable)) return this.refuse(name, failure);
    return this.retry(phase, name, failure);
  }

  private succeed(phase: TccPhase, name: string): Outcome<TccInstance> {
    const states = { try: "TRY_SUCCESS", confirm: "CONFIRMED", cancel: "CANCELLED" } as const;
    this.patch(name, { state: states[phase], attempts: 1, error: undefined });
    const { participants } = this.instance;
    if (participants.some(({ state }) => isOpen(phase, state))) {
      const wasPivot = phase === "confirm" && this.role(name).pivot;
      // In memory until the phase is complete: each operation may be repeated, and answers as before.
      return this.outcome(false, wasPivot ? this.owed() : []);
    }
    if (phase === "try") return this.decide();
    return this.end(phase === "confirm" ? "CONFIRMED" : "CANCELLED");
  }

  private decide(): Outcome<TccInstance> {
    if (this.instance.expired) {
      return this.cancelAll({ code: "TIMEOUT", message: "The deadline has passed.", participant: "" });
    }
    return this.enter("CONFIRMING");
  }

  private refuse(name: string, failure: TccFailure): Outcome<TccInstance> {
    this.patch(name, {
      state: this.instance.state === "TRYING" ? "TRY_FAILED" : "TRY_SUCCESS",
      error: failure,
    });
    return this.cancelAll(failure);
  }

  private cancelAll(failure: TccFailure): Outcome<TccInstance> {
    this.set({ failure });
    return this.enter("CANCELLING");
  }

  private retry(phase: TccPhase, name: string, failure: TccFailure): Outcome<TccInstance> {
    const participant = this.instance.participants.find((one) => one.name === name);
    const attempts = participant?.attempts ?? 1;
    if (phase === "try" && attempts >= this.options.tryAttemptsMax) {
      return this.refuse(name, { ...failure, code: "TIMEOUT" });
    }
    this.patch(name, { attempts: attempts + 1, error: failure });
    const stuck = phase !== "try" && attempts >= STUCK_AFTER_ATTEMPTS;
    const backoffMs = Math.min(BACKOFF_MAX_MS, BACKOFF_FIRST_MS * 2 ** Math.min(attempts - 1, 20));
    this.set({ stuck: this.instance.stuck || stuck, wakeInMs: backoffMs });
    return this.outcome(true, []);
  }

  private enter(state: TccState): Outcome<TccInstance> {
    const participants = this.instance.participants.map((one) => ({ ...one, attempts: 1 }));
    this.set({ state, participants, stuck: false, wakeInMs: this.options.leaseMs });
    return this.outcome(true, this.owed());
  }

  private end(state: TccState): Outcome<TccInstance> {
    this.set({ state, stuck: false, wakeInMs: null });
    return this.outcome(true, []);
  }

  private phase(): TccPhase | undefined {
    const { state } = this.instance;
    if (state === "TRYING") return "try";
    if (state === "CONFIRMING") return "confirm";
    return state === "CANCELLING" ? "cancel" : undefined;
  }

  private effect(phase: TccPhase, participant: TccParticipant): CallEffect {
    const { id: gid, input, failure } = this.instance;
    const { action, params } = this.role(participant.name).operations[phase];
    return {
      kind: "call",
      token: tokenOf(phase, participant),
      action,
      params: params({ gid, input, failure }),
      timeoutMs: this.options.callTimeoutMs,
    };
  }

  private role(name: string): TccParticipantDefinition {
    const role = this.definition.participants.find((one) => one.name === name);
    if (!role) throw new TypeError(`${this.definition.type} has no participant ${name}`);
    return role;
  }

  private unchanged(): Outcome<TccInstance> {
    return { instance: this.instance, effects: [], changed: false, durable: false };
  }

  private set(change: Partial<TccInstance>): void {
    this.instance = { ...this.instance, ...change };
  }

  private patch(name: string, change: Partial<TccParticipant>): void {
    const { participants } = this.instance;
    this.set({ participants: participants.map((one) => (one.name === name ? { ...one, ...change } : one)) });
  }
}

const tokenOf = (phase: TccPhase, { name, attempts }: TccParticipant) => `${phase}:${name}:${attempts}`;

function isOpen(phase: TccPhase, state: TccParticipant["state"]): boolean {
  if (phase === "try") return state === "PENDING";
  if (phase === "confirm") return state !== "CONFIRMED";
  return state !== "CANCELLED";
}
