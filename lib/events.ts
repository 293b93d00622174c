import { Ajv, type ValidateFunction } from "ajv";
import type { TopicDefinition } from "./bus/bus.ts";
import { TOPICS } from "./topics.ts";

export { TOPICS };

export interface Line {
  readonly productId: string;
  readonly quantity: number;
}

export interface Reason {
  readonly code: string;
  readonly message: string;
}

/** Data of each event and command, by type: the one source of the catalogue, routing and checks. */
export interface EventData {
  ORDER_CREATED: {
    orderId: string;
    customerId: string;
    totalMinor: number;
    currency: string;
    items: readonly Line[];
  };
  ORDER_CONFIRMED: { orderId: string; customerId: string; totalMinor: number; currency: string };
  ORDER_CANCELLED: { orderId: string; customerId: string; reason: Reason };
  ORDER_PAID: { orderId: string; customerId: string; totalMinor: number; currency: string };
  ORDER_CANCELLATION_REQUESTED: { orderId: string; customerId: string; reason: Reason };
  ORDER_COMPLETED: { orderId: string; customerId: string };
  STOCK_RESERVED: { orderId: string; sagaId?: string; items: readonly Line[]; expiresAt: string };
  STOCK_RESERVATION_FAILED: {
    orderId: string;
    sagaId?: string;
    productId: string;
    reason: string;
    available: number;
    requested: number;
  };
  STOCK_RELEASED: { orderId: string; sagaId?: string; items: readonly Line[]; reason: string };
  STOCK_CONFIRMED: { orderId: string; items: readonly Line[] };
  STOCK_ADJUSTED: { productId: string; delta: number; available: number; reason: string };
  PAYMENT_RESERVED: { paymentId: string; orderId: string; amountMinor: number; currency: string };
  PAYMENT_COMPLETED: { paymentId: string; orderId: string; amountMinor: number; currency: string };
  PAYMENT_FAILED: { paymentId: string; orderId: string; reason: string; errorCode: string };
  /** amountMinor: of this refund; 0 when there was nothing to give back. */
  PAYMENT_REFUNDED: {
    paymentId?: string;
    orderId: string;
    sagaId?: string;
    refundId?: string;
    amountMinor: number;
    currency: string;
  };
  RESERVE_STOCK: { orderId: string; sagaId: string; items: readonly Line[]; ttlSeconds?: number };
  /** Gives back all that was captured for the order and not refunded yet. */
  REFUND_PAYMENT: { orderId: string; sagaId: string; reason: string };
  RELEASE_STOCK: { orderId: string; sagaId: string; items: readonly Line[]; reason: string };
}

export type EventType = keyof EventData;

/** What travels as a message's value. Readers ignore fields they do not know. */
export interface Envelope<Type extends EventType = EventType> {
  readonly eventId: string;
  readonly eventType: Type;
  readonly aggregateId: string;
  readonly aggregateType: string;
  /** 1..n without gaps per aggregate. */
  readonly aggregateVersion: number;
  /** UTC, ISO 8601. */
  readonly timestamp: string;
  /** Version of the data's schema. */
  readonly version: number;
  readonly correlationId: string;
  readonly data: EventData[Type];
}

/** The discriminated union: narrowing on `eventType` narrows `data`. */
export type DomainEvent = { [Type in EventType]: Envelope<Type> }[EventType];

const id = { type: "string", minLength: 1, maxLength: 64 };
const name = { type: "string", minLength: 1, maxLength: 255 };
const count = { type: "integer", minimum: 0 };
const line = {
  type: "object",
  required: ["productId", "quantity"],
  properties: { productId: id, quantity: { type: "integer", minimum: 1 } },
};
const lines = { type: "array", minItems: 1, items: line };
const money = { totalMinor: count, currency: { type: "string", pattern: "^[A-Z]{3}$" } };
const reason = {
  type: "object",
  required: ["code", "message"],
  properties: { code: name, message: { type: "string" } },
};

export interface EventDefinition {
  readonly topic: string;
  readonly aggregateType: string;
  readonly version: number;
  readonly about: string;
  /** JSON Schema of `data`. */
  readonly schema: {
    readonly type: "object";
    readonly required: readonly string[];
    readonly properties: object;
  };
}

function event(
  topic: TopicDefinition,
  aggregateType: string,
  about: string,
  properties: Record<string, object>,
  optional: readonly string[] = [],
): EventDefinition {
  const required = Object.keys(properties).filter((key) => !optional.includes(key));
  return {
    topic: topic.name,
    aggregateType,
    version: 1,
    about,
    schema: { type: "object", required, properties },
  };
}

const { orders, products, payments, sagaCommands } = TOPICS;
const saga = ["sagaId"];

/** Routing and schema of each event. The aggregate's id is the message key. */
export const EVENTS: Readonly<Record<EventType, EventDefinition>> = {
  ORDER_CREATED: event(orders, "order", "An order was drafted with its prices.", {
    orderId: id,
    customerId: id,
    items: lines,
    ...money,
  }),
  ORDER_CONFIRMED: event(orders, "order", "The order's stock is reserved; it waits for payment.", {
    orderId: id,
    customerId: id,
    ...money,
  }),
  ORDER_CANCELLED: event(orders, "order", "The order ended without a sale.", {
    orderId: id,
    customerId: id,
    reason,
  }),
  ORDER_PAID: event(orders, "order", "The order is paid in full.", { orderId: id, customerId: id, ...money }),
  ORDER_CANCELLATION_REQUESTED: event(
    orders,
    "order",
    "The order is being cancelled; no other change is possible.",
    {
      orderId: id,
      customerId: id,
      reason,
    },
  ),
  ORDER_COMPLETED: event(orders, "order", "The order was delivered.", { orderId: id, customerId: id }),
  STOCK_RESERVED: event(
    products,
    "reservation",
    "All lines of the order are reserved.",
    { orderId: id, sagaId: id, items: lines, expiresAt: name },
    saga,
  ),
  STOCK_RESERVATION_FAILED: event(
    products,
    "reservation",
    "No line was reserved, because this product falls short.",
    { orderId: id, sagaId: id, productId: id, reason: name, available: count, requested: count },
    saga,
  ),
  STOCK_RELEASED: event(
    products,
    "reservation",
    "What the order held is available again.",
    { orderId: id, sagaId: id, items: { ...lines, minItems: 0 }, reason: name },
    saga,
  ),
  STOCK_CONFIRMED: event(products, "reservation", "What the order held is sold.", {
    orderId: id,
    items: lines,
  }),
  STOCK_ADJUSTED: event(products, "product", "Stock was counted, received or returned.", {
    productId: id,
    delta: { type: "integer" },
    available: count,
    reason: name,
  }),
  PAYMENT_RESERVED: event(payments, "payment", "The amount is authorised, not yet taken.", {
    paymentId: id,
    orderId: id,
    amountMinor: count,
    currency: money.currency,
  }),
  PAYMENT_COMPLETED: event(payments, "payment", "The amount is captured.", {
    paymentId: id,
    orderId: id,
    amountMinor: count,
    currency: money.currency,
  }),
  PAYMENT_FAILED: event(payments, "payment", "The provider refused.", {
    paymentId: id,
    orderId: id,
    reason: name,
    errorCode: name,
  }),
  PAYMENT_REFUNDED: event(
    payments,
    "payment",
    "Money was given back, all or part of it.",
    {
      paymentId: id,
      orderId: id,
      sagaId: id,
      refundId: id,
      amountMinor: count,
      currency: { type: "string" },
    },
    ["paymentId", "sagaId", "refundId"],
  ),
  REFUND_PAYMENT: event(sagaCommands, "saga", "Give back what was captured for the order.", {
    orderId: id,
    sagaId: id,
    reason: name,
  }),
  RESERVE_STOCK: event(
    sagaCommands,
    "saga",
    "Reserve all lines or none.",
    { orderId: id, sagaId: id, items: lines, ttlSeconds: { type: "integer", minimum: 1 } },
    ["ttlSeconds"],
  ),
  RELEASE_STOCK: event(sagaCommands, "saga", "Give back what the order holds.", {
    orderId: id,
    sagaId: id,
    items: lines,
    reason: name,
  }),
};

/** What surrounds the data of each event. */
export const envelopeSchema = {
  type: "object",
  required: [
    "eventId",
    "eventType",
    "aggregateId",
    "aggregateType",
    "aggregateVersion",
    "timestamp",
    "correlationId",
  ],
  properties: {
    // As strict as PostgreSQL: an id that it refuses could not even be recorded as a dead letter.
    eventId: { type: "string", pattern: "^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$" },
    eventType: name,
    aggregateId: id,
    aggregateType: name,
    aggregateVersion: { type: "integer", minimum: 1 },
    timestamp: name,
    version: { type: "integer", minimum: 1 },
    correlationId: name,
    data: { type: "object" },
  },
};

const ajv = new Ajv({ allErrors: false });
const validEnvelope = ajv.compile<DomainEvent>(envelopeSchema);
const validData = new Map<string, ValidateFunction>(
  Object.entries(EVENTS).map(([type, definition]) => [type, ajv.compile(definition.schema)]),
);

/** The message is not an event we can read: poison, not a passing failure. */
export class EventInvalidError extends Error {
  readonly type = "EVENT_INVALID";
  readonly retryable = false;
}

export function isEventType(type: string): type is EventType {
  return Object.hasOwn(EVENTS, type);
}

/** Checks an event's data against its schema. @throws EventInvalidError */
export function assertEventData(type: EventType, data: unknown): void {
  const valid = validData.get(type);
  if (!valid?.(data))
    throw new EventInvalidError(`${type}: ${ajv.errorsText(valid?.errors, { dataVar: "data" })}`);
}

/** Reads a message's value. @throws EventInvalidError not JSON, not an envelope, unknown type, or data that breaks its schema */
export function parseEvent(value: string): DomainEvent {
  let parsed: unknown;
  try {
    parsed = JSON.parse(value);
  } catch (cause) {
    throw new EventInvalidError("the value is not JSON", { cause });
  }
  if (!validEnvelope(parsed)) {
    throw new EventInvalidError(ajv.errorsText(validEnvelope.errors, { dataVar: "event" }));
  }
  const event = parsed as DomainEvent;
  if (!isEventType(event.eventType))
    throw new EventInvalidError(`unknown event type ${String(event.eventType)}`);
  assertEventData(event.eventType, event.data);
  return event;
}
