import { EVENTS, type EventDefinition, envelopeSchema, TOPICS } from "../../../lib/events.ts";
import { exampleOf, type JsonSchema } from "./json-schema.ts";

/** The AsyncAPI 3 document of the events, made of the catalogue that checks them. */

const HEADERS: JsonSchema = {
  type: "object",
  required: ["event-id", "event-type", "correlation-id", "timestamp"],
  properties: {
    "event-id": { type: "string", format: "uuid" },
    "event-type": { type: "string" },
    "correlation-id": { type: "string" },
    "causation-id": { type: "string", description: "The event or command that this one follows from." },
    timestamp: { type: "string", format: "date-time" },
    traceparent: { type: "string", description: "W3C trace context, where the request is sampled." },
  },
};

const LETTER: JsonSchema = {
  type: "object",
  required: ["source", "topic", "error", "attempts"],
  properties: {
    source: { type: "string", description: "The consumer group, or `outbox`." },
    topic: { type: "string" },
    partition: { type: "integer" },
    offset: { type: "string" },
    position: { type: "integer", description: "In the outbox, where the bus refused it." },
    key: { type: "string" },
    headers: { type: "object" },
    value: { type: "string", description: "The message as it was; cut when it is large." },
    error: { description: "A text, or an object with type and message." },
    attempts: { type: "integer", minimum: 1 },
  },
};

const PARTIES: Readonly<Record<string, string>> = {
  [TOPICS.orders.name]: "What became of orders. Written by the order service.",
  [TOPICS.products.name]: "What became of stock. Written by the product service.",
  [TOPICS.payments.name]: "What became of money. Written by the payment service.",
  [TOPICS.sagaCommands.name]: "What sagas ask of the other services. Written by the saga service.",
  [TOPICS.deadLetters.name]: "Messages that could not be processed or published, each with its reason.",
};

const DAY_MS = 86_400_000;

function channelName(topic: string): string {
  return topic.replace(/^oms\./, "").replaceAll(".", "-");
}

function messageOf(type: string, { about, schema, version, aggregateType }: EventDefinition): JsonSchema {
  const envelope = {
    ...envelopeSchema,
    required: [...envelopeSchema.required, "data"],
    properties: {
      ...envelopeSchema.properties,
      eventType: { const: type },
      aggregateType: { const: aggregateType },
      version: { const: version },
      data: schema,
    },
  };
  const payload = exampleOf(illustrated({ ...envelope, required: Object.keys(envelope.properties) }));
  return {
    name: type,
    title: type,
    summary: about,
    contentType: "application/json",
    headers: { $ref: "#/components/schemas/Headers" },
    payload: envelope,
    correlationId: { location: "$message.header#/correlation-id" },
    bindings: { kafka: { key: { type: "string", description: "The aggregate's id." } } },
    examples: [{ name: type, payload }],
  };
}

const ID = "01990000-0000-7000-8000-0000000000a1";
const TIME = "2026-01-31T12:00:00.000Z";
/** What fields of these names hold, wherever they stand. */
const USUAL: Readonly<Record<string, unknown>> = {
  eventId: ID,
  aggregateId: ID,
  orderId: ID,
  customerId: ID,
  productId: ID,
  paymentId: ID,
  sagaId: ID,
  correlationId: "4f1c2d9e-6f0b-4c55-8f0e-1c7a55f0a001",
  timestamp: TIME,
  expiresAt: TIME,
  currency: "EUR",
};

/** The schema with examples by the names of its properties. */
function illustrated(schema: JsonSchema): JsonSchema {
  const { properties, items } = schema;
  return {
    ...schema,
    ...(items !== undefined && { items: illustrated(items as JsonSchema) }),
    ...(properties !== undefined && {
      properties: Object.fromEntries(
        Object.entries(properties as Record<string, JsonSchema>).map(([name, one]) => [
          name,
          Object.hasOwn(USUAL, name) ? { ...one, examples: [USUAL[name]] } : illustrated(one),
        ]),
      ),
    }),
  };
}

const reference = (path: string) => ({ $ref: `#/${path}` });

function channels(): JsonSchema {
  return Object.fromEntries(
    Object.values(TOPICS).map(({ name, partitions, retentionMs }) => {
      const types = Object.entries(EVENTS).flatMap(([type, { topic }]) => (topic === name ? [type] : []));
      const carried = types.length > 0 ? types : ["DEAD_LETTER"];
      const channel = {
        address: name,
        description: `${PARTIES[name] ?? ""} Kept for ${Math.round(retentionMs / DAY_MS)} day(s).`,
        messages: Object.fromEntries(carried.map((type) => [type, reference(`components/messages/${type}`)])),
        bindings: { kafka: { topic: name, partitions } },
      };
      return [channelName(name), channel];
    }),
  );
}

export function asyncApi(): JsonSchema {
  const events = Object.entries(EVENTS).map(([type, definition]) => [type, messageOf(type, definition)]);
  const letter: EventDefinition = {
    topic: TOPICS.deadLetters.name,
    aggregateType: "dead-letter",
    version: 1,
    about: "A message that was put aside.",
    schema: LETTER as EventDefinition["schema"],
  };
  return {
    asyncapi: "3.0.0",
    info: {
      title: "Holdfast events",
      version: "1.0.0",
      description:
        "Each event is published at least once and in order per aggregate (the message key); `aggregateVersion` runs from 1 without gaps, so that a consumer sees duplicates and losses. Fields that are not known are to be ignored.",
      license: { name: "MIT" },
    },
    defaultContentType: "application/json",
    channels: channels(),
    operations: Object.fromEntries(
      Object.values(TOPICS).map(({ name }) => [
        `publish-${channelName(name)}`,
        { action: "send", channel: reference(`channels/${channelName(name)}`) },
      ]),
    ),
    components: {
      messages: { ...Object.fromEntries(events), DEAD_LETTER: messageOf("DEAD_LETTER", letter) },
      schemas: { Headers: HEADERS },
    },
  };
}
