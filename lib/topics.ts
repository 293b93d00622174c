import type { TopicDefinition } from "./bus/bus.ts";

const DAY_MS = 86_400_000;

export const TOPICS = {
  orders: { name: "oms.orders.events", partitions: 6, retentionMs: 7 * DAY_MS },
  products: { name: "oms.products.events", partitions: 6, retentionMs: 7 * DAY_MS },
  payments: { name: "oms.payments.events", partitions: 6, retentionMs: 7 * DAY_MS },
  sagaCommands: { name: "oms.saga.commands", partitions: 3, retentionMs: DAY_MS },
  deadLetters: { name: "oms.dlq", partitions: 1, retentionMs: 30 * DAY_MS },
} as const satisfies Record<string, TopicDefinition>;
