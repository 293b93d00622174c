/**
 * What the bus costs: publishes and consumes in one process and prints rates, latencies and CPU per message.
 * Run: BUS_DATABASE_URL=… node bench/bus.ts [messages in flight] [seconds]   (or KAFKA_BROKERS=…)
 */
import { randomUUID } from "node:crypto";
import type { BusMessage } from "../lib/bus/bus.ts";
import { openBus } from "../lib/bus/open-bus.ts";
import { loadConfig } from "../lib/config.ts";
import { TOPICS } from "../lib/events.ts";

const inFlight = Number(process.argv[2] ?? 256);
const seconds = Number(process.argv[3] ?? 5);
const topics = [TOPICS.orders, TOPICS.products, TOPICS.sagaCommands].map((topic) => ({
  ...topic,
  name: `bench.${topic.name}`,
}));

function message(index: number): BusMessage {
  const key = randomUUID();
  const items = [1, 2].map((quantity) => ({ productId: `product-${quantity}`, quantity }));
  const data = { orderId: key, customerId: "customer-1", totalMinor: 12_345, currency: "EUR", items };
  const timestamp = new Date().toISOString();
  const about = { eventId: randomUUID(), eventType: "ORDER_CREATED", correlationId: key, timestamp };
  const value = JSON.stringify({ ...about, aggregateId: key, aggregateType: "order", version: 1, data });
  const headers = {
    "event-id": about.eventId,
    "event-type": about.eventType,
    "correlation-id": key,
    "causation-id": key,
    timestamp,
    traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
  };
  return { topic: topics[index % topics.length]?.name ?? "", key, value, headers };
}

const bus = openBus(loadConfig(), { clientId: "bench" });
await bus.ensureTopics(topics);
const names = topics.map((topic) => topic.name);
const started = new Map<string, number>();
const latencies: number[] = [];
let received = 0;
let batches = 0;
const subscription = await bus.subscribe({
  group: `bench-${randomUUID()}`,
  topics: names,
  batchSizeMax: 256,
  handler: async (messages) => {
    batches += 1;
    received += messages.length;
    const now = performance.now();
    for (const { key } of messages) {
      const at = started.get(key);
      if (at !== undefined) latencies.push(now - at);
      started.delete(key);
    }
  },
});
while (subscription.state() !== "running") await new Promise((resolve) => setTimeout(resolve, 20));

// A new group begins at the beginning: what an earlier run left is read first.
let before = -1;
while (received !== before) {
  before = received;
  await new Promise((resolve) => setTimeout(resolve, 300));
}
for (const chunk of [1, 20]) {
  received = 0;
  batches = 0;
  latencies.length = 0;
  let published = 0;
  const cpu = process.cpuUsage();
  const begin = performance.now();
  const end = begin + seconds * 1_000;
  const publishLatencies: number[] = [];
  const publisher = async () => {
    while (performance.now() < end) {
      const messages = Array.from({ length: chunk }, () => message(published++));
      const at = performance.now();
      for (const { key } of messages) started.set(key, at);
      await bus.publish(messages);
      publishLatencies.push(performance.now() - at);
    }
  };
  await Promise.all(Array.from({ length: Math.max(1, Math.round(inFlight / chunk)) }, publisher));
  const tookMs = performance.now() - begin;
  while (received < published) await new Promise((resolve) => setTimeout(resolve, 5));
  const totalMs = performance.now() - begin;
  const used = process.cpuUsage(cpu);
  const percentile = (values: number[], share: number) =>
    values.sort((a, b) => a - b)[Math.floor(values.length * share)]?.toFixed(1);
  console.log(
    `${bus.kind}, ${chunk} a call, ${inFlight} in flight: ${Math.round((published / tookMs) * 1_000)} published/s, ` +
      `${Math.round((received / totalMs) * 1_000)} consumed/s in batches of ${Math.round(received / batches)}; ` +
      `publish p50 ${percentile(publishLatencies, 0.5)} ms, end to end p50 ${percentile(latencies, 0.5)} ` +
      `p99 ${percentile(latencies, 0.99)} ms; ` +
      `${((used.user + used.system) / received).toFixed(1)} us of Node per message, both sides`,
  );
}
await bus.close();
