import {
  type AnyScope,
  ATTEMPTS_AFTER_PIVOT,
  type Exchange,
  type Failure,
  type SagaDefinition,
  type StepDefinition,
} from "./define.ts";
import type { CallEffect, Effect, Input, OperatorAction, Outcome, Protocol, Reply } from "./protocol.ts";
import type { NewSaga, SagaInstance, SagaProgress, StepRecord, StepStatus } from "./saga-instance.ts";

/**
 * The saga protocol: pure, no clock, no I/O, no randomness of its own. Forward through the steps; on a
 * failure before the pivot backward through what has (or may have) happened; from the pivot on only forward.
 */
export interface SagaProtocol extends Protocol<SagaInstance> {
  start(saga: NewSaga, now: Date): Outcome<SagaInstance>;
}

const BACKOFF_FIRST_MS = 100;
const BACKOFF_MAX_MS = 30_000;
const STUCK_RETRY_MS = 300_000;

type Awaiting = { readonly step: StepDefinition; readonly exchange: Exchange; readonly backward: boolean };

/** @param leaseMs after this time without progress another node performs the owed calls again */
export function createSagaProtocol(definitions: readonly SagaDefinition[], leaseMs: number): SagaProtocol {
  const byType = new Map(definitions.map((definition) => [definition.type, definition]));
  const stepsOf = (type: string) => {
    const definition = byType.get(type);
    if (!definition) throw new TypeError(`no saga definition for ${type}`);
    return definition.steps;
  };
  return {
    start(saga, now) {
      const empty: SagaInstance = {
        ...saga,
        version: 1,
        state: "RUNNING",
        step: null,
        attempt: 0,
        published: 0,
        wakeInMs: leaseMs,
        progress: { direction: "forward", results: {}, steps: [] },
      };
      return new Move(stepsOf(saga.type), empty, now, leaseMs).enter(0).outcome(true);
    },
    advance(instance, input, now) {
      return new Move(stepsOf(instance.type), instance, now, leaseMs).take(input);
    },
    owed: (instance) => new Move(stepsOf(instance.type), instance, new Date(0), leaseMs).owed(),
    hasEnded: (instance) => instance.state === "COMPLETED" || instance.state === "COMPENSATED",
  };
}

/** One input's way through the protocol: gathers the next instance and its effects. */
class Move {
  private readonly steps: readonly StepDefinition[];
  private readonly nowMs: number;
  private readonly leaseMs: number;
  private instance: SagaInstance;
  private readonly effects: Effect[] = [];

  constructor(steps: readonly StepDefinition[], instance: SagaInstance, now: Date, leaseMs: number) {
    this.steps = steps;
    this.instance = instance;
    this.nowMs = now.getTime();
    this.leaseMs = leaseMs;
  }

  take(input: Input): Outcome<SagaInstance> {
    const awaiting = this.awaiting();
    if (input.kind === "event") return this.takeEvent(input, awaiting);
    if (!awaiting) return this.unchanged();
    if (input.kind === "cancel") return this.cancel(awaiting, input.code, input.message);
    if (input.kind === "operator") return this.operate(awaiting, input.action);
    if (input.kind === "timer") return this.takeTimer(awaiting);
    if (awaiting.exchange.kind !== "call" || input.token !== this.token()) return this.unchanged();
    return this.takeReply(input.reply, awaiting);
  }

  owed(): CallEffect[] {
    const awaiting = this.awaiting();
    return awaiting?.exchange.kind === "call" ? [this.callEffect(awaiting, awaiting.exchange)] : [];
  }

  outcome(durable: boolean): Outcome<SagaInstance> {
    return { instance: this.instance, effects: this.effects, changed: true, durable };
  }

  /** Begins the forward step at `index`, or completes. */
  enter(index: number): this {
    const step = this.steps[index];
    if (!step) {
      this.set({ state: "COMPLETED", step: null, attempt: 0, wakeInMs: null });
      return this;
    }
    if (step.when && !step.when(this.scope(step))) return this.enter(index + 1);
    this.set({ state: "RUNNING", step: step.name, attempt: 1 });
    this.record({ name: step.name, status: "RUNNING", attempts: 1, startedAtMs: this.nowMs });
    this.perform({ step, exchange: step.exchange, backward: false });
    const early = step.exchange.kind === "request" ? this.takeEarly(step.exchange) : undefined;
    if (early) this.takeEvent({ kind: "event", ...early }, this.awaiting());
    return this;
  }

  private takeReply(reply: Reply, awaiting: Awaiting): Outcome<SagaInstance> {
    const { step, backward } = awaiting;
    if (reply.ok) return backward ? this.undone(step) : this.succeed(step, reply.result);
    const { error } = reply;
    const refused = !error.retryable;
    const failure = { code: error.type, message: error.message, step: step.name };
    if (!backward && step.mode !== "retriable" && refused) return this.fail(failure, "FAILED");
    return this.retry(awaiting, failure);
  }

  private takeEvent(
    event: Extract<Input, { kind: "event" }>,
    awaiting: Awaiting | undefined,
  ): Outcome<SagaInstance> {
    const exchange = awaiting?.exchange;
    if (awaiting && exchange?.kind === "request") {
      if (event.type === exchange.success) {
        return awaiting.backward ? this.undone(awaiting.step) : this.succeed(awaiting.step, event.data);
      }
      if (!awaiting.backward && event.type === exchange.failure?.event) {
        return this.fail({ ...exchange.failure.reason(event.data), step: awaiting.step.name }, "FAILED");
      }
    }
    return this.takeUnawaited(event);
  }

  /** Early: kept for its step. Late, after its step was given up: what it tells of is undone once more. */
  private takeUnawaited(event: Extract<Input, { kind: "event" }>): Outcome<SagaInstance> {
    const step = this.steps.find(
      ({ exchange }) => exchange.kind === "request" && answers(exchange, event.type),
    );
    if (!step) return this.unchanged();
    const record = this.instance.progress.steps.find(({ name }) => name === step.name);
    const { progress } = this.instance;
    if (!record && progress.direction === "forward" && this.instance.step !== null) {
      const known = progress.early?.some(({ eventId }) => eventId === event.eventId);
      if (known) return this.unchanged();
      const { eventId, type, data } = event;
      this.progress({ early: [...(progress.early ?? []), { eventId, type, data }] });
      return this.outcome(true);
    }
    const gaveUp =
      record?.status === "UNKNOWN" || record?.status === "COMPENSATING" || record?.status === "COMPENSATED";
    const isSuccess = step.exchange.kind === "request" && event.type === step.exchange.success;
    if (!gaveUp || !isSuccess || step.compensation?.kind !== "request") return this.unchanged();
    this.publish(step.compensation, this.scope(step));
    return this.outcome(true);
  }

  /** What is in hand may still have its effect, so it is undone with the rest. From the pivot on it is too late. */
  private cancel({ step, backward }: Awaiting, code: string, message: string): Outcome<SagaInstance> {
    if (backward || step.mode !== "compensatable") return this.unchanged();
    return this.fail({ code, message, step: step.name }, "UNKNOWN");
  }

  private operate(awaiting: Awaiting, action: OperatorAction): Outcome<SagaInstance> {
    const { step, backward } = awaiting;
    if (action === "compensate") return this.cancel(awaiting, "OPERATOR", "An operator undid it.");
    if (action === "skip") return backward ? this.undone(step) : this.succeed(step, null);
    if (action !== "retry") return this.unchanged();
    this.set({ attempt: this.instance.attempt + 1, state: backward ? "COMPENSATING" : "RUNNING" });
    this.perform(awaiting);
    return this.outcome(true);
  }

  /** Its lease or its deadline has passed: an answer that did not come, or calls to be performed again. */
  private takeTimer(awaiting: Awaiting): Outcome<SagaInstance> {
    const { step, exchange, backward } = awaiting;
    if (exchange.kind === "call") {
      this.set({ wakeInMs: this.leaseMs });
      this.effects.push(this.callEffect(awaiting, exchange));
      return this.outcome(false);
    }
    const failure = { code: "TIMEOUT", message: `${step.name} was not answered in time`, step: step.name };
    if (!backward && step.mode !== "retriable") return this.fail(failure, "UNKNOWN");
    return this.retry(awaiting, failure);
  }

  private succeed(step: StepDefinition, result: unknown): Outcome<SagaInstance> {
    const recorded = (step.record ? step.record(result) : result) ?? null;
    if (recorded !== null) {
      this.progress({ results: { ...this.instance.progress.results, [step.name]: recorded } });
    }
    this.close(step.name, "SUCCEEDED");
    this.enter(this.steps.indexOf(step) + 1);
    const onlyCalls = this.effects.length > 0 && this.effects.every((effect) => effect.kind === "call");
    return this.outcome(!(step.repeatable && onlyCalls));
  }

  private retry(awaiting: Awaiting, failure: Failure): Outcome<SagaInstance> {
    const { step, exchange, backward } = awaiting;
    const attempt = this.instance.attempt + 1;
    // Backward there is no other way out either: as patient as after the pivot, whatever the step's own limit.
    const attemptsMax = backward ? ATTEMPTS_AFTER_PIVOT : step.attemptsMax;
    const exhausted = this.instance.attempt >= attemptsMax;
    if (exhausted && !backward && step.mode === "compensatable") {
      return this.fail(
        { ...failure, code: "TIMEOUT", message: `${step.name}: ${failure.message}` },
        "UNKNOWN",
      );
    }
    this.set({ attempt, state: exhausted ? "STUCK" : backward ? "COMPENSATING" : "RUNNING" });
    const { code, message } = failure;
    this.patch(step.name, { attempts: attempt, error: { code, message } });
    if (exchange.kind === "request") this.perform(awaiting);
    const backoffMs = Math.min(BACKOFF_MAX_MS, BACKOFF_FIRST_MS * 2 ** Math.min(attempt - 2, 20));
    if (exhausted) this.set({ wakeInMs: STUCK_RETRY_MS });
    else if (exchange.kind === "call") this.set({ wakeInMs: backoffMs });
    return this.outcome(true);
  }

  private fail(failure: Failure, status: "FAILED" | "UNKNOWN"): Outcome<SagaInstance> {
    const { code, message } = failure;
    this.close(failure.step, status, { code, message });
    if (status === "UNKNOWN") this.suspectCarried(failure.step);
    this.progress({ failure, direction: "backward" });
    return this.compensateNext();
  }

  /**
   * Steps behind a repeatable one may have been performed without a trace: whoever did so carries that in memory, or
   * has died with it. They are undone with the rest.
   */
  private suspectCarried(name: string): void {
    let index = this.steps.findIndex((step) => step.name === name);
    while (this.steps[index]?.repeatable) {
      index += 1;
      const next = this.steps[index];
      if (next?.exchange.kind !== "call" || next.mode !== "compensatable") return;
      this.record({
        name: next.name,
        status: "UNKNOWN",
        attempts: 0,
        startedAtMs: this.nowMs,
        endedAtMs: this.nowMs,
      });
    }
  }

  private undone(step: StepDefinition): Outcome<SagaInstance> {
    this.close(step.name, "COMPENSATED");
    return this.compensateNext();
  }

  /** Undoes the latest step that has, or may have, had its effect; with none left the saga has ended. */
  private compensateNext(): Outcome<SagaInstance> {
    const { steps } = this.instance.progress;
    const open = steps.findLast((record) => {
      const hadEffect = record.status === "SUCCEEDED" || record.status === "UNKNOWN";
      return hadEffect && this.step(record.name)?.compensation !== undefined;
    });
    const step = open && this.step(open.name);
    if (!step?.compensation) {
      this.set({ state: "COMPENSATED", step: null, attempt: 0, wakeInMs: null });
      return this.outcome(true);
    }
    this.set({ state: "COMPENSATING", step: step.name, attempt: 1 });
    this.patch(step.name, { status: "COMPENSATING", endedAtMs: undefined });
    this.perform({ step, exchange: step.compensation, backward: true });
    return this.outcome(true);
  }

  private perform({ step, exchange, backward }: Awaiting): void {
    if (exchange.kind === "call") {
      this.set({ wakeInMs: this.leaseMs });
      this.effects.push(this.callEffect({ step, exchange, backward }, exchange));
    } else {
      this.publish(exchange, this.scope(step));
      this.set({ wakeInMs: exchange.timeoutMs });
    }
  }

  private publish(exchange: Extract<Exchange, { kind: "request" }>, scope: AnyScope): void {
    this.effects.push({ kind: "publish", type: exchange.publish, data: exchange.data(scope) });
    this.set({ published: this.instance.published + 1 });
  }

  private callEffect({ step }: Awaiting, exchange: Extract<Exchange, { kind: "call" }>): CallEffect {
    const { action, timeoutMs } = exchange;
    return {
      kind: "call",
      token: this.token(),
      action,
      params: exchange.params(this.scope(step)),
      timeoutMs,
    };
  }

  private token(): string {
    const { step, attempt, progress } = this.instance;
    return `${progress.direction}:${step}:${attempt}`;
  }

  private scope(step: StepDefinition): AnyScope {
    const { id, input, progress } = this.instance;
    const { results, failure } = progress;
    return { sagaId: id, input, results, result: results[step.name], failure };
  }

  private awaiting(): Awaiting | undefined {
    const step = this.instance.step === null ? undefined : this.step(this.instance.step);
    if (!step) return undefined;
    const backward = this.instance.progress.direction === "backward";
    const exchange = backward ? step.compensation : step.exchange;
    return exchange && { step, exchange, backward };
  }

  private takeEarly(exchange: Extract<Exchange, { kind: "request" }>) {
    const { early } = this.instance.progress;
    const found = early?.find(({ type }) => answers(exchange, type));
    if (found) this.progress({ early: early?.filter((event) => event !== found) });
    return found;
  }

  private step(name: string): StepDefinition | undefined {
    return this.steps.find((step) => step.name === name);
  }

  private unchanged(): Outcome<SagaInstance> {
    return { instance: this.instance, effects: [], changed: false, durable: false };
  }

  private set(change: Partial<SagaInstance>): void {
    this.instance = { ...this.instance, ...change };
  }

  private progress(change: Partial<SagaProgress>): void {
    this.set({ progress: { ...this.instance.progress, ...change } });
  }

  private record(record: StepRecord): void {
    this.progress({ steps: [...this.instance.progress.steps, record] });
  }

  private patch(name: string, change: Partial<StepRecord>): void {
    const { steps } = this.instance.progress;
    this.progress({
      steps: steps.map((record) => (record.name === name ? { ...record, ...change } : record)),
    });
  }

  private close(name: string, status: StepStatus, error?: StepRecord["error"]): void {
    this.patch(name, { status, endedAtMs: this.nowMs, ...(error && { error }) });
  }
}

function answers(exchange: Extract<Exchange, { kind: "request" }>, type: string): boolean {
  return type === exchange.success || type === exchange.failure?.event;
}
