import type { ReceivedMessage } from "./bus/bus.ts";
import type {
  CancelOrderParams,
  CreateCustomerParams,
  CreateOrderAnswer,
  CreateOrderParams,
  CustomerStatus,
  IdempotencyClaim,
  IdempotentAnswer,
  OrderBill,
  OrderMove,
  OrderStatus,
  OrderView,
  Page,
  PaymentStatus,
  PaymentView,
  PayOrderAnswer,
  PayOrderParams,
  PricedLine,
  ProductView,
  Quote,
  RateSpending,
  Refusal,
  SagaView,
  SetCustomerStatusParams,
  StoredCustomer,
  TransactionView,
  Viewer,
} from "./contracts.ts";
import type { Line, Reason } from "./events.ts";
import type {
  DeadLetterDetails,
  DeadLetterGroup,
  DeadLetterView,
  DiscardAnswer,
  LetterChoice,
  NotificationEndpoint,
  NotificationView,
  OperationDone,
  OutboxStanding,
  PartitionStanding,
  RedriveAnswer,
  TrailEntry,
  TrailFilter,
} from "./operator-contracts.ts";
import type { Ciphertext } from "./personal-data/personal-data.ts";
import type { DatabaseName, ServiceName } from "./settings.ts";

/** What an operator does to a saga or a transaction. */
export interface Operation {
  readonly id: string;
  /** Left out: whatever has that id. */
  readonly target?: "saga" | "transaction";
  readonly actor: string;
  readonly reason: string;
  readonly idempotency?: IdempotencyClaim;
}

interface LetterDeed {
  readonly actor: string;
  readonly reason: string;
  readonly idempotency?: IdempotencyClaim;
}

interface InstanceQuery {
  readonly state?: string;
  readonly type?: string;
  readonly stuck?: boolean;
  readonly limit?: number;
  readonly cursor?: string;
}

/** A dead letter is delivered again by the service that it was written by. */
type Redrives = {
  [Name in `${DatabaseName}.redriveMessage`]: {
    params: { message: ReceivedMessage };
    result: { done: true };
  };
} & {
  [Name in `${DatabaseName}.redriveEvent`]: { params: { position: number }; result: { done: true } };
};

/** What a service has still to tell, and to hear. */
type Queues = {
  [Name in `${DatabaseName}.outbox`]: { params: Record<never, never>; result: OutboxStanding };
} & {
  [Name in `${DatabaseName}.lag`]: {
    params: Record<never, never>;
    result: { partitions: readonly PartitionStanding[] };
  };
};

/** What each service's audit trail holds, newest first. */
type Trails = {
  [Name in `${DatabaseName}.trail`]: {
    params: TrailFilter;
    result: { items: readonly Omit<TrailEntry, "service">[] };
  };
};

/** Every action that crosses a service border, with what it takes and gives. */
export interface Actions extends Redrives, Queues, Trails {
  "order.draft": {
    params: {
      orderId: string;
      sagaId: string;
      customerId: string;
      items: readonly PricedLine[];
      totalMinor: number;
      currency: string;
      shippingAddress?: Ciphertext;
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
  "order.unpaid": { params: { customerId: string; max: number }; result: { unpaid: number } };
  "order.bill": { params: { orderId: string } & Viewer; result: OrderBill };
  /** What has become of orders since the moves of these numbers. */
  "order.moves": {
    params: { orders: readonly { orderId: string; after: number }[] };
    result: { moves: readonly OrderMove[] };
  };
  "order.list": {
    params: Viewer & { status?: OrderStatus; from?: string; to?: string; limit?: number; cursor?: string };
    result: Page<OrderView>;
  };
  "product.quote": { params: { items: readonly Line[] }; result: Quote };
  "product.get": { params: { productId: string }; result: ProductView };
  "product.create": {
    params: Pick<ProductView, "sku" | "name" | "priceMinor" | "currency"> & {
      stock: number;
      actor: string;
      idempotency?: IdempotencyClaim;
    };
    result: IdempotentAnswer<ProductView>;
  };
  /** Stock is counted, received (delta > 0) or lost; what is left never falls below zero. */
  "product.adjust": {
    params: {
      productId: string;
      delta: number;
      reason: string;
      actor: string;
      idempotency?: IdempotencyClaim;
    };
    result: IdempotentAnswer<ProductView>;
  };
  "product.lowStock": {
    params: { threshold: number; limit?: number; cursor?: string };
    result: Page<ProductView>;
  };
  "product.list": { params: { limit?: number; cursor?: string }; result: Page<ProductView> };
  /** Names and addresses come and go encrypted. @throws CUSTOMER_EMAIL_TAKEN */
  "customer.create": { params: CreateCustomerParams; result: IdempotentAnswer<StoredCustomer> };
  "customer.get": { params: { customerId: string }; result: StoredCustomer };
  "customer.list": {
    params: { status?: CustomerStatus; limit?: number; cursor?: string };
    result: Page<StoredCustomer>;
  };
  "customer.activate": { params: SetCustomerStatusParams; result: IdempotentAnswer<StoredCustomer> };
  "customer.deactivate": { params: SetCustomerStatusParams; result: IdempotentAnswer<StoredCustomer> };
  "customer.validate": { params: { customerId: string }; result: { customerId: string } };
  /** From now on tokens of the subject below the version that this answers are refused. */
  "customer.revokeTokens": {
    params: { subject: string; version?: number; actor: string; reason: string };
    result: { subject: string; version: number };
  };
  "customer.notifications": {
    params: { status?: NotificationView["status"]; orderId?: string; limit?: number; cursor?: string };
    result: Page<NotificationView>;
  };
  "customer.notificationEndpoint": { params: Record<never, never>; result: NotificationEndpoint };
  "customer.enableNotifications": { params: { actor: string; reason: string }; result: NotificationEndpoint };
  /** Only in demo mode or with FAULT_INJECTION (lib/fault-injection.middleware.ts). */
  "faults.arm": {
    params: { faults: string; service?: ServiceName; actor: string };
    result: { faults: string; service?: ServiceName };
  };
  /** Least versions of tokens that changed after a revision. */
  "customer.tokenVersions": {
    params: { after: number };
    result: { items: readonly { subject: string; version: number }[]; revision: number; more: boolean };
  };
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
  /** The semantic lock of a cancellation: -> cancelling. Answers what it was before; refused once, it is refused for ever. */
  "order.requestCancellation": {
    params: { orderId: string; sagaId: string; reason: Reason; actor: string };
    result: { orderId: string; before: OrderStatus; items: readonly Line[] };
  };
  "order.ship": {
    params: { orderId: string; actor: string };
    result: { orderId: string; status: OrderStatus };
  };
  "order.complete": {
    params: { orderId: string; actor: string };
    result: { orderId: string; status: OrderStatus };
  };
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
  "saga.retry": { params: Operation; result: IdempotentAnswer<OperationDone> };
  "saga.skip": { params: Operation; result: IdempotentAnswer<OperationDone> };
  "saga.compensate": { params: Operation; result: IdempotentAnswer<OperationDone> };
  "saga.forceCancel": { params: Operation; result: IdempotentAnswer<OperationDone> };
  "saga.list": { params: InstanceQuery; result: Page<SagaView> };
  "saga.transactions": { params: InstanceQuery; result: Page<TransactionView> };
  "saga.deadLetters": {
    params: {
      status?: DeadLetterView["status"];
      source?: string;
      topic?: string;
      eventType?: string;
      code?: string;
      limit?: number;
      cursor?: string;
    };
    result: Page<DeadLetterView>;
  };
  "saga.deadLetter": { params: { letterId: string }; result: DeadLetterDetails };
  "saga.deadLetterGroups": { params: Record<never, never>; result: { items: readonly DeadLetterGroup[] } };
  /** Delivers letters again, those named or the hundred open ones of a kind that were tried least, oldest first. */
  "saga.redrive": { params: LetterChoice & LetterDeed; result: IdempotentAnswer<RedriveAnswer> };
  /** Says of letters that nobody is going to deliver them; chosen as for `saga.redrive`. */
  "saga.discard": { params: LetterChoice & LetterDeed; result: IdempotentAnswer<DiscardAnswer> };
  /** Which of these sagas have not ended; one that is not known is not live. */
  "saga.live": { params: { sagaIds: readonly string[] }; result: { live: readonly string[] } };
  /** The key of a request whose work commits elsewhere: an attempt to do it, or what it was answered before. */
  "saga.beginKey": {
    params: { claim: IdempotencyClaim };
    result:
      | { attempt: number; known?: undefined }
      | { attempt?: undefined; known: Omit<IdempotentAnswer<unknown>, "replayed"> };
  };
  "saga.finishKey": {
    params: {
      claim: IdempotencyClaim;
      attempt: number;
      answer: Omit<IdempotentAnswer<unknown>, "replayed">;
    };
    result: { done: boolean };
  };
  "saga.releaseKey": { params: { claim: IdempotencyClaim; attempt: number }; result: { done: boolean } };
  /** Seconds used of allowances; what each key owes then, with all gateways together. */
  "saga.settleRates": { params: { spent: readonly RateSpending[] }; result: { owed: readonly number[] } };
  /** What a gateway has refused, for the audit trail. */
  "saga.recordRefusals": { params: { refusals: readonly Refusal[] }; result: { recorded: number } };
  /** An order as its saga knows it: before its draft is there, or when it never came to one. */
  "saga.order": { params: { orderId: string } & Viewer; result: OrderView };
}

export type ActionName = keyof Actions;
