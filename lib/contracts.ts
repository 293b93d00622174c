import type { Line, Reason } from "./events.ts";
import type { Ciphertext } from "./personal-data/personal-data.ts";

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
