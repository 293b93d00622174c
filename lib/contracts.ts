import type { Line, Reason } from "./events.ts";

/** Params and results of the actions that services call on each other. Money in minor units, times ISO 8601 UTC. */

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
  readonly shippingAddress?: ShippingAddress;
  readonly timeline: readonly TimelineEntry[];
  readonly sagaId: string;
  readonly createdAt: string;
  readonly updatedAt: string;
}

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
  readonly participants: readonly {
    readonly name: string;
    readonly state: string;
    readonly error?: Reason;
  }[];
  readonly error?: Reason;
  readonly createdAt: string;
  readonly updatedAt: string;
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
  readonly customerId: string;
  readonly items: readonly Line[];
  readonly shippingAddress?: ShippingAddress;
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

/** Every action that crosses a service border, with what it takes and gives. */
export interface Actions {
  "order.draft": {
    params: {
      orderId: string;
      sagaId: string;
      customerId: string;
      items: readonly PricedLine[];
      totalMinor: number;
      currency: string;
      shippingAddress?: ShippingAddress;
    };
    result: { orderId: string; totalMinor: number };
  };
  "order.confirm": { params: { orderId: string }; result: { orderId: string; status: OrderStatus } };
  "order.cancel": {
    params: { orderId: string; reason: Reason; actor?: string };
    result: { orderId: string; status: OrderStatus };
  };
  "order.get": { params: { orderId: string } & Viewer; result: OrderView };
  "order.status": {
    params: { orderId: string } & Viewer;
    result: Pick<OrderView, "orderId" | "status" | "reason" | "updatedAt">;
  };
  "order.list": {
    params: Viewer & { status?: OrderStatus; from?: string; to?: string; limit?: number; cursor?: string };
    result: Page<OrderView>;
  };
  "product.quote": { params: { items: readonly Line[] }; result: Quote };
  "product.get": { params: { productId: string }; result: ProductView };
  "product.list": { params: { limit?: number; cursor?: string }; result: Page<ProductView> };
  "customer.validate": { params: { customerId: string }; result: { customerId: string } };
  /** TCC of the order: created -> paying -> paid, or back. `tryPay` answers what there is to pay. */
  "order.tryPay": {
    params: { gid: string; orderId: string };
    result: { orderId: string; status: OrderStatus };
  };
  "order.confirmPay": {
    params: { gid: string; orderId: string };
    result: { orderId: string; status: OrderStatus };
  };
  "order.cancelPay": {
    params: { gid: string; orderId: string; reason?: Reason };
    result: { orderId: string; status: OrderStatus };
  };
  /** The semantic lock of a cancellation: -> cancelling. Answers what it was before. */
  "order.requestCancellation": {
    params: { orderId: string; reason: Reason; actor: string };
    result: { orderId: string; before: OrderStatus; items: readonly Line[] };
  };
  "order.ship": { params: { orderId: string }; result: { orderId: string; status: OrderStatus } };
  "order.complete": { params: { orderId: string }; result: { orderId: string; status: OrderStatus } };
  /** TCC of stock. Without a reservation, `stockTry` makes one of `items`; with one it holds it. */
  "product.stockTry": {
    params: { gid: string; orderId: string; items?: readonly Line[]; ttlSeconds?: number };
    result: { orderId: string; status: string };
  };
  "product.stockConfirm": {
    params: { gid: string; orderId: string };
    result: { orderId: string; status: string };
  };
  "product.stockCancel": {
    params: { gid: string; orderId: string };
    result: { orderId: string; status: string };
  };
  /** TCC of money: authorise, capture, void. `gid` is the global transaction. */
  "payment.try": {
    params: {
      gid: string;
      orderId: string;
      customerId: string;
      amountMinor: number;
      currency: string;
      paymentMethod: string;
    };
    result: { paymentId: string; status: PaymentStatus };
  };
  "payment.confirm": { params: { gid: string }; result: { paymentId: string; status: PaymentStatus } };
  "payment.cancel": { params: { gid: string }; result: { paymentId?: string; status: PaymentStatus } };
  "payment.refund": {
    params: { paymentId: string; amountMinor?: number; reason: string; idempotency: IdempotencyClaim };
    result: IdempotentAnswer<{
      refundId: string;
      paymentId: string;
      amountMinor: number;
      status: "processing";
    }>;
  };
  "payment.get": { params: { paymentId: string } & Viewer; result: PaymentView };
  "payment.byOrder": { params: { orderId: string } & Viewer; result: Page<PaymentView> };
  /** `body`: the raw bytes as UTF-8 text; the signature is over them. */
  "payment.webhook": {
    params: { provider: string; body: string; headers: Readonly<Record<string, string>> };
    result: { received: true };
  };
  "saga.payOrder": { params: PayOrderParams; result: IdempotentAnswer<PayOrderAnswer> };
  "saga.transaction": {
    params: { transactionId: string; waitMs?: number } & Viewer;
    result: TransactionView;
  };
  "saga.cancelOrder": { params: CancelOrderParams; result: IdempotentAnswer<{ sagaId: string }> };
  "saga.createOrder": { params: CreateOrderParams; result: IdempotentAnswer<CreateOrderAnswer> };
  /** `waitMs`: answer only when the saga has ended, at the latest after this time. */
  "saga.get": { params: { sagaId: string; waitMs?: number } & Viewer; result: SagaView };
  /** Which of these sagas have not ended; one that is not known is not live. */
  "saga.live": { params: { sagaIds: readonly string[] }; result: { live: readonly string[] } };
  /** An order as its saga knows it: before its draft is there, or when it never came to one. */
  "saga.order": { params: { orderId: string } & Viewer; result: OrderView };
}

export type ActionName = keyof Actions;
