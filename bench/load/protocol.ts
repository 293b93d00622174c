/** What the bench and its load processes tell each other. */

export const VARIANTS = ["uniform", "hot"] as const;
export type Variant = (typeof VARIANTS)[number];

/**
 * What an operation is: an order made, paid, cancelled, looked at, or 70/20/10 of made, paid, cancelled. In a flash sale
 * everybody wants one unit of the same product, until there are none: a refusal is an outcome like any other.
 */
export const FLOWS = ["create", "pay", "cancel", "mixed", "get", "flash"] as const;
export type FlowKind = (typeof FLOWS)[number];

export interface Cell {
  readonly flow: FlowKind;
  readonly variant: Variant;
  /** Orders in flight, in a closed loop: the next one begins when one has ended. */
  readonly concurrency: number;
  /** Followed by a GET after the 202; otherwise the POST prefers to wait for the end. */
  readonly follow?: boolean;
  /** In bursts: the next `concurrency` orders begin at once when all of the last ones have ended. */
  readonly inBursts?: boolean;
  /**
   * In an open loop: so many orders begin each second, whether or not others have ended. Should more than `concurrency`
   * be in flight, the next ones wait, and their wait counts: latencies are from the time an order was due.
   */
  readonly perSecond?: number;
}

/** Orders through the public API. */
export interface ApiTarget {
  readonly kind: "api";
  /** One for each gateway; the loops take turns. */
  readonly urls: readonly string[];
  readonly tokens: readonly string[];
  readonly productIds: readonly string[];
}

/** The same rows by plain SQL. */
export interface FloorTarget {
  readonly kind: "floor";
  readonly url: string;
  readonly customerIds: readonly string[];
  readonly productIds: readonly string[];
}

/** Holdfast's services, in the load process itself. */
export interface ServicesTarget {
  readonly kind: "services";
  /** What they are configured by. */
  readonly env: NodeJS.ProcessEnv;
  readonly customerIds: readonly string[];
  readonly productIds: readonly string[];
}

/** Another engine, which has the same rows written by the floor's statements, in steps. */
interface PeerTarget {
  /** Where it is installed. */
  readonly folder: string;
  /** The floor's database. */
  readonly url: string;
  readonly customerIds: readonly string[];
  readonly productIds: readonly string[];
}

export interface DbosTarget extends PeerTarget {
  readonly kind: "dbos";
  /** A database of its own. */
  readonly systemUrl: string;
}

export interface RestateTarget extends PeerTarget {
  readonly kind: "restate";
  /** Where orders go in. */
  readonly ingress: string;
}

export type Target = ApiTarget | FloorTarget | ServicesTarget | DbosTarget | RestateTarget;

export interface LoadRequest {
  readonly cell: Cell;
  readonly warmSeconds: number;
  /** Measures for this time, or until so many orders have ended. */
  readonly until: { readonly seconds: number } | { readonly orders: number };
  /** Counts to the last order: nothing runs before and after the measured orders, however long the hooks take. */
  readonly isExact?: boolean;
  /** What a flash sale sells. */
  readonly productId?: string;
}

export interface Quantiles {
  readonly p50: number;
  readonly p95: number;
  readonly p99: number;
  readonly max: number;
}

/** An order that ended well, with its two products: one unit of the first, two of the second. */
export type FinishedOrder = readonly [orderId: string, first: string, second: string];

export interface LoadResult {
  readonly seconds: number;
  /** Ended within the measured time. */
  readonly orders: number;
  /** Milliseconds from the request to the order being confirmed. */
  readonly latency: Quantiles;
  /** Milliseconds from the request to 202; none for the floor. */
  readonly accept?: Quantiles;
  /** Of the orders, those that were cancelled because nothing was left. */
  readonly refused: number;
  readonly errors: number;
  readonly errorSamples: readonly string[];
  /** How the end was noticed. */
  readonly polled: boolean;
  /** All that ended, also before and after the measured time. */
  readonly finished: readonly FinishedOrder[];
}

export type ToLoad =
  | { readonly kind: "open"; readonly target: Target }
  | { readonly kind: "run"; readonly request: LoadRequest }
  /** Goes on after "measuring" of an exact run. */
  | { readonly kind: "go" }
  /** Closes what was opened, and ends. */
  | { readonly kind: "close" };

export type FromLoad =
  | { readonly kind: "opened" }
  /** The warm-up is over; the loops go on. */
  | { readonly kind: "measuring" }
  /** The measured time is over; orders in flight are still being finished. */
  | { readonly kind: "measured" }
  | { readonly kind: "result"; readonly result: LoadResult }
  | { readonly kind: "failed"; readonly message: string };
