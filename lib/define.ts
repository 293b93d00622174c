import type {
  ActionParams,
  ActionSchema,
  Context,
  Service,
  ServiceSchema,
  ServiceSettingSchema,
} from "moleculer";
import type { ActionName, Actions } from "./actions.ts";
import { asWork, faults, passPoint } from "./fault-points.ts";
import type { ServiceName } from "./settings.ts";

/**
 * Typed Moleculer schemas. Core's `ServiceSchema` lets `this.anything.at.all()` compile and cannot see what
 * a mixin adds; these two do nothing at run time and infer it. In a schema `methods` must stand before
 * `actions` and the lifecycle hooks, because TypeScript infers them in that order.
 */
declare const adds: unique symbol;

/** A mixin that adds `Adds` to the `this` of the service that uses it. */
export interface Mixin<Adds = unknown> extends Partial<ServiceSchema> {
  readonly [adds]?: Adds;
}

/** Each mixin by itself: inferred of their union, what one adds would be lost beside another that adds less. */
type TakesAddsOf<One> = One extends Mixin<infer Adds> ? (adds: Adds) => void : never;

type AddsOf<Mixins> = Mixins extends readonly unknown[]
  ? Mixins[number] extends never
    ? unknown
    : TakesAddsOf<Mixins[number]> extends (adds: infer All) => void
      ? All
      : never
  : unknown;

export type This<Methods, Vars, Mixins> = Omit<Service<ServiceSettingSchema>, "actions"> &
  Methods &
  Vars &
  AddsOf<Mixins>;

/** Meta that travels with every call. */
export interface CallMeta {
  correlationId?: string;
  /** The saga or transaction that calls. */
  sagaId?: string;
  /** When nobody waits for the request any more, in milliseconds since 1970. */
  deadline?: number;
}

export interface TypedAction<Self> extends Omit<ActionSchema, "handler" | "params"> {
  params?: ActionParams;
  /** Services that may call it; nobody else may, wherever they are (callers.middleware.ts). */
  readonly callers: readonly ServiceName[];
  // biome-ignore lint/suspicious/noExplicitAny: each handler annotates its own Context<Params, Meta>; the `params` schema above it is what checks them.
  handler: (this: Self, ctx: Context<any, any>) => unknown;
}

interface Schema<Methods, Vars, Mixins> {
  mixins?: Mixins;
  settings?: ServiceSettingSchema;
  dependencies?: string | readonly string[];
  methods?: Methods & ThisType<This<Methods, Vars, Mixins>>;
  actions?: Record<string, TypedAction<This<Methods, Vars, Mixins>> | false>;
  /** Moleculer's own events, at most once: hints, never facts. */
  // biome-ignore lint/suspicious/noExplicitAny: each listener annotates its own Context, as handlers do.
  events?: Record<string, (this: This<Methods, Vars, Mixins>, ctx: Context<any, any>) => void>;
  merged?: (this: This<Methods, Vars, Mixins>, schema: ServiceSchema) => void;
  created?: (this: This<Methods, Vars, Mixins>) => void;
  started?: (this: This<Methods, Vars, Mixins>) => Promise<void>;
  stopped?: (this: This<Methods, Vars, Mixins>) => Promise<void>;
}

/** Defines a service; `Vars` is the state it keeps on `this`. */
export const defineService =
  <Vars = unknown>() =>
  <Methods, const Mixins extends readonly Mixin[] = readonly []>(
    schema: { name: string } & Schema<Methods, Vars, Mixins>,
  ): ServiceSchema =>
    schema as unknown as ServiceSchema;

/** Defines a mixin; its `Vars` and methods are part of the `this` of whoever uses it. */
export const defineMixin =
  <Vars = unknown>() =>
  <Methods, const Mixins extends readonly Mixin[] = readonly []>(
    schema: { name?: string } & Schema<Methods, Vars, Mixins>,
  ): Mixin<Methods & Vars & AddsOf<Mixins>> =>
    schema as unknown as Mixin<Methods & Vars & AddsOf<Mixins>>;

/** Context of an action of lib/contracts.ts. */
export type ActionContext<Name extends ActionName> = Context<Actions[Name]["params"], CallMeta>;

interface Caller {
  call: (action: string, params: object, options?: object) => PromiseLike<unknown>;
}

interface CallOptions {
  readonly timeout?: number;
  readonly meta?: CallMeta;
  /** Who calls, where there is no context of an action to tell. */
  readonly caller?: ServiceName;
}

/** `ctx.call` or `broker.call` with the params and the result of the contract. */
export async function callAction<Name extends ActionName>(
  caller: Caller,
  action: Name,
  params: Actions[Name]["params"],
  options: CallOptions = {},
): Promise<Actions[Name]["result"]> {
  if (faults.armed) await passPoint(`call.${action}.before-send`);
  const result = await asWork(action, () => caller.call(action, params, options));
  if (faults.armed) await passPoint(`call.${action}.after-reply`);
  return result as Actions[Name]["result"];
}
