/**
 * The saga language. A definition reads top-down in the order of its steps and is typed: a step's params
 * see the results of the steps before it, a compensation sees what its step recorded, and the compiler
 * refuses a step before the pivot without a compensation (or a stated reason for having none) and one
 * after the pivot with one. Terms: Garcia-Molina & Salem, "Sagas" (1987); pivot and retriable steps as in
 * Richardson, "Microservices Patterns", chapter 4.
 */

export interface Failure {
  readonly code: string;
  readonly message: string;
  /** The step that failed. */
  readonly step: string;
}

/** What a step's functions may read. */
export interface Scope<Input, Results> {
  readonly sagaId: string;
  readonly input: Input;
  readonly results: Results;
}

/** What a compensation may read: `result` is missing when the step's outcome is unknown. */
export interface CompensationScope<Input, Results, Result> extends Scope<Input, Results> {
  readonly result: Result | undefined;
  readonly failure: Failure;
}

export interface AnyScope {
  readonly sagaId: string;
  readonly input: unknown;
  readonly results: Readonly<Record<string, unknown>>;
  readonly result?: unknown;
  readonly failure?: Failure;
}

/** An exchange with a participant: a call and its reply, or a published command and the events that answer it. */
export type Exchange =
  | {
      readonly kind: "call";
      readonly action: string;
      readonly params: (scope: AnyScope) => object;
      readonly timeoutMs: number;
    }
  | {
      readonly kind: "request";
      readonly publish: string;
      readonly data: (scope: AnyScope) => object;
      readonly success: string;
      readonly failure?: {
        readonly event: string;
        readonly reason: (data: object) => { code: string; message: string };
      };
      readonly timeoutMs: number;
    };

export interface StepDefinition {
  readonly name: string;
  readonly exchange: Exchange;
  readonly compensation?: Exchange;
  /** Why a step before the pivot has none. */
  readonly noCompensation?: string;
  /** Transient failures are retried this often; then the step fails (before the pivot) or is stuck (from it on). */
  readonly attemptsMax: number;
  /** Harmless to repeat from the last durable point: its reply is carried in memory until the next one. */
  readonly repeatable: boolean;
  /** What is kept of the result for later steps and the compensation; everything when missing. */
  readonly record?: (result: unknown) => unknown;
  /** Left out when this says false. */
  readonly when?: (scope: AnyScope) => boolean;
  /** compensatable: undone when a later step fails. pivot: a refusal undoes the rest, an unknown outcome is
   *  asked again until it is known. retriable: only forward. */
  readonly mode: "compensatable" | "pivot" | "retriable";
}

export interface SagaDefinition<Input = unknown> {
  readonly type: string;
  readonly steps: readonly StepDefinition[];
  /** Type only: what an instance is started with. */
  readonly input?: Input;
}

interface CallOptions<Input, Results, Params, Result, Recorded> {
  readonly params: (scope: Scope<Input, Results>) => Params;
  /** What of the result later steps and the compensation need; the rest is not stored. */
  readonly record?: (result: Result) => Recorded;
  readonly timeoutMs?: number;
  readonly attemptsMax?: number;
}

interface RequestOptions<
  Input,
  Results,
  Events,
  Publish extends keyof Events,
  Success extends keyof Events,
  Recorded,
> {
  readonly record?: (answer: Events[Success]) => Recorded;
  readonly publish: Publish;
  readonly data: (scope: Scope<Input, Results>) => Events[Publish];
  readonly success: Success;
  /** How long the answer is waited for, in milliseconds. */
  readonly timeoutMs: number;
}

type FailureEvent<Events> = {
  [Event in keyof Events]: {
    readonly event: Event;
    readonly reason: (data: Events[Event]) => { code: string; message: string };
  };
}[keyof Events];

type Compensation<Input, Results, Result, Actions, Events> =
  | {
      [Action in keyof Actions]: {
        readonly action: Action;
        readonly params: (
          scope: CompensationScope<Input, Results, Result>,
        ) => Actions[Action] extends { params: infer Params } ? Params : never;
      };
    }[keyof Actions]
  | {
      [Event in keyof Events]: {
        readonly publish: Event;
        readonly data: (scope: CompensationScope<Input, Results, Result>) => Events[Event];
        readonly success: keyof Events;
        readonly timeoutMs: number;
      };
    }[keyof Events];

/** Before the pivot a step says how it is undone, or why it needs no undoing. */
type Undo<Input, Results, Result, Actions, Events> =
  | {
      readonly compensate: Compensation<Input, Results, Result, Actions, Events>;
      readonly noCompensation?: never;
    }
  | { readonly noCompensation: string; readonly compensate?: never };

const CALL_TIMEOUT_MS = 5_000;
// 0.1 + 0.2 + … + 3.2 s of back-off: a restart of the participant is outlived, an outage ends the saga within a minute.
const ATTEMPTS_BEFORE_PIVOT = 6;
// About ten minutes; then an operator should look, while it is still retried slowly.
export const ATTEMPTS_AFTER_PIVOT = 25;

type ParamsOf<Actions, Action extends keyof Actions> = Actions[Action] extends { params: infer Params }
  ? Params
  : never;
type ResultOf<Actions, Action extends keyof Actions> = Actions[Action] extends { result: infer Result }
  ? Result
  : never;
type Added<Results, Name extends string, Result> = Results & { readonly [Key in Name]: Result };

export interface BeforePivot<Input, Results, Actions, Events> {
  /** A call to a participant's action. `repeatable`: see StepDefinition. */
  call<
    const Name extends string,
    Action extends keyof Actions & string,
    Recorded = ResultOf<Actions, Action>,
  >(
    name: Name,
    action: Action,
    options: CallOptions<Input, Results, ParamsOf<Actions, Action>, ResultOf<Actions, Action>, Recorded> & {
      readonly repeatable?: boolean;
    } & Undo<Input, Results, Recorded, Actions, Events>,
  ): BeforePivot<Input, Added<Results, Name, Recorded>, Actions, Events>;
  /** A published command whose answer is awaited as an event. */
  request<
    const Name extends string,
    Publish extends keyof Events & string,
    Success extends keyof Events & string,
    Recorded = Events[Success],
  >(
    name: Name,
    options: RequestOptions<Input, Results, Events, Publish, Success, Recorded> & {
      readonly failure?: FailureEvent<Events>;
    } & Undo<Input, Results, Recorded, Actions, Events>,
  ): BeforePivot<Input, Added<Results, Name, Recorded>, Actions, Events>;
  /** The step after which there is only forward. */
  pivot<
    const Name extends string,
    Action extends keyof Actions & string,
    Recorded = ResultOf<Actions, Action>,
  >(
    name: Name,
    action: Action,
    options: CallOptions<Input, Results, ParamsOf<Actions, Action>, ResultOf<Actions, Action>, Recorded>,
  ): AfterPivot<Input, Added<Results, Name, Recorded>, Actions, Events>;
}

export interface AfterPivot<Input, Results, Actions, Events> {
  call<
    const Name extends string,
    Action extends keyof Actions & string,
    Recorded = ResultOf<Actions, Action>,
  >(
    name: Name,
    action: Action,
    options: CallOptions<Input, Results, ParamsOf<Actions, Action>, ResultOf<Actions, Action>, Recorded>,
  ): AfterPivot<Input, Added<Results, Name, Recorded>, Actions, Events>;
  request<
    const Name extends string,
    Publish extends keyof Events & string,
    Success extends keyof Events & string,
    Recorded = Events[Success],
  >(
    name: Name,
    options: RequestOptions<Input, Results, Events, Publish, Success, Recorded> & {
      /** Only then; otherwise the step is left out. */
      readonly when?: (scope: Scope<Input, Results>) => boolean;
    },
  ): AfterPivot<Input, Added<Results, Name, Recorded>, Actions, Events>;
  build(): SagaDefinition<Input>;
}

interface LooseOptions {
  readonly params?: (scope: AnyScope) => object;
  readonly publish?: string;
  readonly data?: (scope: AnyScope) => object;
  readonly success?: string;
  readonly failure?: Extract<Exchange, { kind: "request" }>["failure"];
  readonly action?: string;
  readonly timeoutMs?: number;
  readonly attemptsMax?: number;
  readonly repeatable?: boolean;
  readonly record?: (result: unknown) => unknown;
  readonly when?: (scope: AnyScope) => boolean;
  readonly compensate?: LooseOptions;
  readonly noCompensation?: string;
}

function exchange(options: LooseOptions, action = options.action): Exchange {
  const { params, publish, data, success, failure, timeoutMs = CALL_TIMEOUT_MS } = options;
  if (action !== undefined && params) return { kind: "call", action, params, timeoutMs };
  if (publish !== undefined && success !== undefined && data) {
    return { kind: "request", publish, data, success, failure, timeoutMs };
  }
  throw new TypeError("an exchange is either an action with params, or an event with data and its answer");
}

/**
 * Begins a definition over the given contracts: `defineSaga<Actions, Events>()<Input>("TYPE").call(…)…build()`.
 * @throws TypeError when two steps share a name
 */
export const defineSaga =
  <Actions, Events>() =>
  <Input>(type: string): BeforePivot<Input, Record<never, never>, Actions, Events> => {
    const steps: StepDefinition[] = [];
    let mode: StepDefinition["mode"] = "compensatable";
    const add = (name: string, options: LooseOptions, action?: string) => {
      if (steps.some((step) => step.name === name))
        throw new TypeError(`${type} has two steps named ${name}`);
      steps.push({
        name,
        exchange: exchange(options, action),
        compensation: options.compensate && exchange(options.compensate),
        noCompensation: options.noCompensation,
        attemptsMax:
          options.attemptsMax ?? (mode === "compensatable" ? ATTEMPTS_BEFORE_PIVOT : ATTEMPTS_AFTER_PIVOT),
        repeatable: options.repeatable ?? false,
        record: options.record,
        when: options.when,
        mode,
      });
      return builder;
    };
    const builder = {
      call: (name: string, action: string, options: LooseOptions) => add(name, options, action),
      request: (name: string, options: LooseOptions) => add(name, options),
      pivot: (name: string, action: string, options: LooseOptions) => {
        mode = "pivot";
        add(name, options, action);
        mode = "retriable";
        return builder;
      },
      build: (): SagaDefinition<Input> => ({ type, steps }),
    };
    // The loose builder does what the typed interfaces promise; this is the one place where they meet.
    return builder as unknown as BeforePivot<Input, Record<never, never>, Actions, Events>;
  };
