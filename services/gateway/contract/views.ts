import type {
  CreateOrderAnswer,
  CustomerView,
  OrderMove,
  OrderView,
  PaymentAttemptView,
  PaymentView,
  PayOrderAnswer,
  PricedLine,
  ProductView,
  SagaStepView,
  SagaView,
  ShippingAddress,
  TimelineEntry,
  TransactionView,
} from "../../../lib/contracts.ts";
import type { Reason } from "../../../lib/events.ts";
import { about, count, id, like, list, object, oneOf, only, text, time } from "./json-schema.ts";

/** What the API answers, one schema for each view. What is not declared here does not leave the gateway. */

export const ORDER_STATUSES = [
  "draft",
  "created",
  "paying",
  "paid",
  "shipping",
  "completed",
  "cancelling",
  "cancelled",
] as const;
const PAYMENT_STATUSES = [
  "initiated",
  "reserved",
  "captured",
  "failed",
  "voided",
  "refunded",
  "partially_refunded",
] as const;
export const SAGA_STATES = ["RUNNING", "COMPENSATING", "STUCK", "COMPLETED", "COMPENSATED"] as const;
export const TRANSACTION_STATES = [
  "INITIAL",
  "TRYING",
  "TRY_SUCCEEDED",
  "CONFIRMING",
  "CONFIRMED",
  "CANCELLING",
  "CANCELLED",
] as const;

const minor = about("In minor units of the currency: cents.", like(998, count));
const currency = { type: "string", pattern: "^[A-Z]{3}$", examples: ["EUR"] };
/** Empty while the order has no prices yet. */
const currencySoon = { ...currency, pattern: "^([A-Z]{3})?$" };

export const orderStatus = like("created", oneOf(ORDER_STATUSES));
export const paymentStatus = like("captured", oneOf(PAYMENT_STATUSES));

export const reason = object<Reason>({
  code: like("OUT_OF_STOCK", text),
  message: like("Not enough stock.", text),
});

export const shippingAddress = object<ShippingAddress>(
  { name: text, line1: text, city: text, postalCode: text, country: text },
  { line2: text },
);

const pricedLine = object<PricedLine>({
  productId: id,
  quantity: like(2, count),
  sku: like("NAIL-PLENTY", text),
  priceMinor: like(499, count),
});

const timelineEntry = object<TimelineEntry>({ status: orderStatus, at: time }, { reason });

export const order = object<OrderView>(
  {
    orderId: id,
    customerId: id,
    status: orderStatus,
    items: list(pricedLine),
    totalMinor: minor,
    currency: currencySoon,
    timeline: list(timelineEntry),
    sagaId: id,
    createdAt: time,
    updatedAt: time,
  },
  { reason, shippingAddress },
);

export const orderStanding = object<Pick<OrderView, "orderId" | "status" | "reason" | "updatedAt">>(
  { orderId: id, status: orderStatus, updatedAt: time },
  { reason },
);

export const orderEvent = object<Pick<OrderMove, "orderId" | "status" | "at" | "reason">>(
  { orderId: id, status: orderStatus, at: time },
  { reason },
);

export const orderMoved = object<Pick<OrderView, "orderId" | "status">>({ orderId: id, status: orderStatus });

export const orderAccepted = object<CreateOrderAnswer>({
  orderId: id,
  sagaId: id,
  status: only("processing"),
});

export const cancellationAccepted = object<{ sagaId: string }>({ sagaId: id });

const sagaStep = object<SagaStepView>(
  {
    name: like("reserveStock", text),
    status: like(
      "SUCCEEDED",
      oneOf(["RUNNING", "SUCCEEDED", "FAILED", "UNKNOWN", "COMPENSATING", "COMPENSATED"]),
    ),
    attempts: like(1, count),
    startedAt: time,
  },
  { endedAt: time, error: reason },
);

export const saga = object<SagaView>(
  {
    sagaId: id,
    type: like("CREATE_ORDER", text),
    state: like("COMPLETED", oneOf(SAGA_STATES)),
    currentStep: { type: ["string", "null"], examples: [null], description: "null once it has ended" },
    orderId: id,
    steps: list(sagaStep),
    createdAt: time,
    updatedAt: time,
  },
  { error: reason },
);

const participant = object<TransactionView["participants"][number]>(
  {
    name: like("payment", text),
    state: like("CONFIRMED", oneOf(["PENDING", "TRY_SUCCESS", "TRY_FAILED", "CONFIRMED", "CANCELLED"])),
  },
  { error: reason },
);

export const transactionFields = {
  transactionId: id,
  type: like("PAY_ORDER", text),
  orderId: id,
  state: like("CONFIRMED", oneOf(TRANSACTION_STATES)),
  participants: list(participant),
  createdAt: time,
  updatedAt: time,
};

export const transaction = object<Omit<TransactionView, "stuck">>(transactionFields, { error: reason });

export const paymentAccepted = object<PayOrderAnswer>({
  transactionId: id,
  orderId: id,
  status: only("processing"),
});

const attempt = object<PaymentAttemptView>(
  {
    operation: oneOf(["authorise", "capture", "void", "refund"]),
    status: like("succeeded", oneOf(["pending", "succeeded", "declined", "unknown"])),
    amountMinor: minor,
    at: time,
  },
  { errorCode: text },
);

export const payment = object<PaymentView>({
  paymentId: id,
  orderId: id,
  status: paymentStatus,
  amountMinor: minor,
  capturedMinor: minor,
  refundedMinor: like(0, count),
  currency,
  attempts: list(attempt),
});

export const refundAccepted = object<{
  refundId: string;
  paymentId: string;
  amountMinor: number;
  status: "processing";
}>({ refundId: id, paymentId: id, amountMinor: minor, status: only("processing") });

export const paymentTried = object<{ paymentId: string; status: string }>({
  paymentId: id,
  status: like("reserved", paymentStatus),
});

export const paymentCancelled = object<{ paymentId?: string; status: string }>(
  { status: like("voided", paymentStatus) },
  { paymentId: id },
);

export const stockHeld = object<{ orderId: string; status: string }>({
  orderId: id,
  status: oneOf(["HELD", "CONFIRMED", "CANCELLED"]),
});

export const received = object<{ received: true }>({ received: only(true) });

export const product = object<ProductView>({
  productId: id,
  sku: like("NAIL-PLENTY", text),
  name: like("Wire nails, 50 mm, box of 100", text),
  priceMinor: like(499, count),
  currency,
  available: like(999_998, count),
  reserved: like(2, count),
  sold: like(0, count),
});

export const customer = object<CustomerView>({
  customerId: id,
  name: like("Ada Demo", text),
  email: like("ada@example.com", text),
  status: like("active", oneOf(["active", "inactive"])),
  createdAt: time,
  updatedAt: time,
});
