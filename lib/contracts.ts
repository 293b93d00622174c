import type { Line, Reason } from "./events.ts";
import type { Ciphertext } from "./personal-data/personal-data.ts";
import type { DatabaseName } from "./settings.ts";

/** Params and results of the actions that services call on each other (lib/actions.ts). Money in minor units, times ISO 8601 UTC. */

export interface PricedLine extends Line {
  readonly sku: string;
  readonly priceMinor: number;
}

export interface ShippingAddress {
  readonly name: string;
  readonly line1: string;
  readonly line2?: string;
  readonly city: string;
  readonly postalCode: string;
  readonly country: string;
}

export interface Quote {
  readonly items: readonly PricedLine[];
  readonly totalMinor: number;
  readonly currency: string;
}

export type OrderStatus =
  | "draft"
  | "created"
  | "paying"
  | "paid"
  | "shipping"
  | "completed"
  | "cancelling"
  | "cancelled";

export interface TimelineEntry {
  readonly status: OrderStatus;
  readonly at: string;
  readonly reason?: Reason;
}

export interface OrderView {
  readonly orderId: string;
  readonly customerId: string;
  readonly status: OrderStatus;
  readonly reason?: Reason;
  readonly items: readonly PricedLine[];
  readonly totalMinor: number;
  readonly currency: string;
  /** Plain in orders of before encryption, until npm run rewrap has been at them. */
  readonly shippingAddress?: Ciphertext | ShippingAddress;
  readonly timeline: readonly TimelineEntry[];
  readonly sagaId: string;
  readonly createdAt: string;
  readonly updatedAt: string;
}

/** What there is to pay of an order, and whether it may be. */
export type OrderBill = Pick<OrderView, "orderId" | "customerId" | "status" | "totalMinor" | "currency">;

export interface ProductView {
  readonly productId: string;
  readonly sku: string;
  readonly name: string;
  readonly priceMinor: number;
  readonly currency: string;
  readonly available: number;
  readonly reserved: number;
  readonly sold: number;
}

export type PaymentStatus =
  | "initiated"
  | "reserved"
  | "captured"
  | "failed"
  | "voided"
  | "refunded"
  | "partially_refunded";

export interface PaymentAttemptView {
  readonly operation: "authorise" | "capture" | "void" | "refund";
  readonly status: "pending" | "succeeded" | "declined" | "unknown";
  readonly amountMinor: number;
  readonly at: string;
  readonly errorCode?: string;
}

export interface PaymentView {
  readonly paymentId: string;
  readonly orderId: string;
  readonly status: PaymentStatus;
  readonly amountMinor: number;
  readonly capturedMinor: number;
  readonly refundedMinor: number;
  readonly currency: string;
  readonly attempts: readonly PaymentAttemptView[];
}

export interface PayOrderParams {
  readonly orderId: string;
  /** Set: the order must be this customer's. */
  readonly customerId?: string;
  readonly paymentMethod: string;
  readonly idempotency: IdempotencyClaim;
}

export interface PayOrderAnswer {
  readonly transactionId: string;
  readonly orderId: string;
  readonly status: "processing";
}

export interface CancelOrderParams {
  readonly orderId: string;
  readonly customerId?: string;
  readonly reason?: string;
  /** Who asks: a customer or a member of staff. */
  readonly actor: string;
  readonly byStaff: boolean;
  readonly idempotency: IdempotencyClaim;
}

export interface TransactionView {
  readonly transactionId: string;
  readonly type: string;
  readonly orderId: string;
  readonly state: string;
  /** For operators: a retry limit is used up; it is still retried, slowly. */
  readonly stuck: boolean;
  readonly participants: readonly {
    readonly name: string;
    readonly state: string;
    readonly error?: Reason;
  }[];
  readonly error?: Reason;
  readonly createdAt: string;
  readonly updatedAt: string;
}

export type CustomerStatus = "active" | "inactive";

/** What a gateway has refused, as often as it did within some seconds: for the audit trail. */
export interface Refusal {
  readonly kind: "auth.refused" | "auth.forbidden" | "rate.limited";
  /** Of a token that holds; "unknown" otherwise. */
  readonly subject: string;
  /** Method and route template. */
  readonly route: string;
  /** The network that it came from, without what tells single machines in it apart. */
  readonly network: string;
  readonly count: number;
  readonly firstAt: string;
  readonly lastAt: string;
}

/** A customer as the API shows them. */
export interface CustomerView {
  readonly customerId: string;
  readonly name: string;
  readonly email: string;
  readonly status: CustomerStatus;
  readonly createdAt: string;
  readonly updatedAt: string;
}

/** A customer as services know them: whoever has no keys learns neither name nor address. */
export interface StoredCustomer extends CustomerView {
  readonly name: Ciphertext;
  readonly email: Ciphertext;
}

export interface CreateCustomerParams {
  /** Made by whoever encrypts: the ciphertexts are bound to it. */
  readonly customerId: string;
  readonly name: Ciphertext;
  readonly email: Ciphertext;
  /** Blind index of the address: by this nobody has it twice. */
  readonly emailIndex: string;
  /** Who asks, for the audit trail. */
  readonly actor: string;
  readonly idempotency?: IdempotencyClaim;
}

export interface SetCustomerStatusParams {
  readonly customerId: string;
  readonly actor: string;
  readonly idempotency?: IdempotencyClaim;
}

export interface OperationDone {
  readonly id: string;
  readonly action: string;
  readonly done: true;
}

/** A move of an order that is told to the outside, and what became of that. */
export interface NotificationView {
  /** `webhook-id` of the request; the event's id. */
  readonly notificationId: string;
  readonly orderId: string;
  readonly type: string;
  readonly status: "PENDING" | "DELIVERED" | "FAILED" | "SKIPPED";
  readonly attempts: number;
  readonly createdAt: string;
  readonly dueAt?: string;
  /** The HTTP status of the last attempt. */
  readonly lastStatus?: number;
  readonly lastError?: string;
  readonly endedAt?: string;
}

/** Where notifications are sent, and how that goes. */
export interface NotificationEndpoint {
  readonly state: "off" | "active" | "failing" | "disabled";
  readonly pending: number;
  readonly url?: string;
  readonly failingSince?: string;
  readonly disabledAt?: string;
  readonly lastError?: string;
}

/** One entry of the audit trail of a service. */
export interface TrailEntry {
  readonly service: DatabaseName;
  /** Its place in that trail. */
  readonly sequence: number;
  readonly at: string;
  /** The subject of a token, or the part of the system that acted by itself. */
  readonly actor: string;
  readonly action: string;
  /** "order 0199…", or a route. */
  readonly target: string;
  readonly detail: Readonly<Record<string, unknown>>;
  readonly correlationId?: string;
  readonly hash: string;
}

export interface TrailFilter {
  /** Entries before that one; left out: from the end of the trail. */
  readonly before?: number;
  readonly actor?: string;
  /** An action, or the first word of several. */
  readonly action?: string;
  readonly targetId?: string;
  readonly rows: number;
}

export interface DeadLetterView {
  readonly letterId: string;
  /** The consumer group that put the message aside, or `outbox`: the bus refused an event. */
  readonly source: string;
  readonly topic: string;
  readonly eventType: string;
  readonly error: Reason;
  readonly attempts: number;
  readonly correlationId: string;
  readonly at: string;
  readonly status: LetterStatus;
  readonly redrives: number;
  /** Why it could not be delivered when it was last tried again. */
  readonly redriveError?: string;
  readonly redrivenAt?: string;
  readonly discardedAt?: string;
}

/** OPEN: to be dealt with. REDRIVEN: delivered again. DISCARDED: nobody is going to deliver it. */
export type LetterStatus = "OPEN" | "REDRIVEN" | "DISCARDED";

/** A letter with the message that it carries, as far as that could be kept. */
export interface DeadLetterDetails extends DeadLetterView {
  readonly partition?: number;
  readonly offset?: string;
  readonly key?: string;
  readonly value?: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** Where the refused event stands in its outbox. */
  readonly position?: number;
  /** The message was too large for its letter. */
  readonly truncated?: boolean;
}

/** Open letters that have one reason. */
export interface DeadLetterGroup {
  readonly code: string;
  readonly topic: string;
  readonly source: string;
  readonly letters: number;
  readonly eventTypes: readonly string[];
  readonly oldestAt: string;
  readonly newestAt: string;
}

/** Which dead letters are meant: those named, those of a kind, or all that are open. */
export interface LetterChoice {
  readonly letterIds?: readonly string[];
  readonly source?: string;
  readonly topic?: string;
  readonly eventType?: string;
  readonly code?: string;
  readonly all?: boolean;
}

export interface RedriveAnswer {
  readonly redriven: readonly string[];
  readonly failed: readonly FailedLetter[];
}

export interface FailedLetter {
  readonly letterId: string;
  readonly error: Reason;
}

export interface DiscardAnswer {
  readonly discarded: readonly string[];
  readonly failed: readonly FailedLetter[];
}

/** What is committed in one service's database and not on the bus. */
export interface OutboxStanding {
  readonly service: string;
  /** Counted up to 100,000. */
  readonly pending: number;
  /** Age of the oldest of them; 0 when there is none. */
  readonly lagSeconds: number;
  /** Events that the bus has refused: later ones of their aggregates wait behind them. */
  readonly refused: number;
}

/** What a consumer group has not taken yet. */
export interface PartitionStanding {
  readonly group: string;
  readonly topic: string;
  readonly partition: number;
  readonly lag: number;
}

/** Of each service what it says, or why it says nothing. */
export interface Standings<Item> {
  readonly items: readonly Item[];
  readonly unreachable: readonly { readonly service: string; readonly error: Reason }[];
}

export interface Page<Item> {
  readonly items: readonly Item[];
  readonly nextCursor?: string;
}

export interface SagaStepView {
  readonly name: string;
  readonly status: string;
  readonly attempts: number;
  readonly startedAt: string;
  readonly endedAt?: string;
  readonly error?: Reason;
}

export interface SagaView {
  readonly sagaId: string;
  readonly type: string;
  readonly state: string;
  readonly currentStep: string | null;
  readonly orderId: string;
  readonly error?: Reason;
  readonly steps: readonly SagaStepView[];
  readonly createdAt: string;
  readonly updatedAt: string;
}

/** Whose data a read may show: an owner sees only their own, staff sees all. */
export interface Viewer {
  /** Set: only rows of this customer exist for the caller. */
  readonly customerId?: string;
}

export interface CreateOrderParams {
  /** Made by whoever encrypts: the address is bound to it. */
  readonly orderId: string;
  readonly customerId: string;
  readonly items: readonly Line[];
  readonly shippingAddress?: Ciphertext;
  readonly paymentMethod?: string;
  readonly idempotency: IdempotencyClaim;
}

/** Who asks, under which key, for what: what a repeated request is recognised by. */
export interface IdempotencyClaim {
  /** The authenticated subject; keys of different subjects never meet. */
  readonly subject: string;
  readonly key: string;
  /** Method and route template. */
  readonly operation: string;
  /** SHA-256 of the canonical request, hex. */
  readonly requestHash: string;
}

export interface CreateOrderAnswer {
  readonly orderId: string;
  readonly sagaId: string;
  readonly status: "processing";
}

/** An action's answer to an idempotent request: `replayed` when it is the stored answer of an earlier one. */
export interface IdempotentAnswer<Body> {
  readonly replayed: boolean;
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Body;
}

/** What a gateway lets a key use of its allowance, in seconds of it. */
export interface RateSpending {
  readonly key: string;
  readonly seconds: number;
}

/** A step in an order's life. */
export interface OrderMove {
  readonly orderId: string;
  /** Its place in that life, from 1. */
  readonly version: number;
  readonly status: OrderStatus;
  readonly at: string;
  readonly reason?: Reason;
}

/** Moleculer event, at most once: these orders have moved. */
export const ORDERS_MOVED = "orders.moved";

export interface OrdersMoved {
  readonly orderIds: readonly string[];
}
