import { randomUUID } from "node:crypto";
import { connect } from "nats";
import { TOPICS } from "../../lib/events.ts";
import { taken } from "../support/bus-probe.ts";
import { http } from "../support/http.ts";
import { ended, type Line, placedOf } from "../support/shop.ts";
import type { System } from "../support/system.ts";
import { tracesIn, tracesInDatabases } from "../support/traces.ts";
import { until } from "../support/until.ts";
import type { Shared } from "../support/use-system.ts";

/** A value that stands nowhere else. */
const unique = (what: string) => `${what}${randomUUID().replaceAll("-", "")}`;

const address = { name: unique("Aname"), line1: unique("Aline"), city: unique("Acity") };
const customer = { name: unique("Cname"), local: unique("cmail"), taken: unique("Ctaken") };
const refused = {
  body: unique("Rbody"),
  json: unique("Rjson"),
  query: unique("Rquery"),
  field: unique("Rfield"),
};
/** Typed by a person: kept with the order, and nowhere else. */
const typed = { reason: unique("Treason") };
/** On the bus already when we see it. */
const foreign = { message: unique("Fmessage") };
const CARD = "4929421234600821";
const everything = {
  ...prefixed("address", address),
  ...prefixed("customer", customer),
  ...prefixed("refused", refused),
  ...typed,
  ...foreign,
  card: CARD,
};

function prefixed(what: string, values: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(values).map(([name, value]) => [`${what} ${name}`, value]));
}

/** Plants values through every entrance, and looks for them wherever the system keeps or says anything. */
export function redaction(shared: () => Shared): void {
  test("stands nowhere but where docs/privacy.md says", async () => {
    const { system, probe } = shared();
    const calls = await listen(system);
    const orders = await placeAll(system);
    await addCustomer(system);
    await sendNonsense(system);
    const poison = await probe.publish({
      topic: TOPICS.sagaCommands.name,
      partition: 0,
      key: randomUUID(),
      value: JSON.stringify({ eventType: "RESERVE_STOCK", data: foreign }),
      headers: {},
    });
    await taken(probe, "product-service-group", poison);
    await toldOnBus(shared(), orders);

    const bus = system.demo.kafkaBrokers === undefined ? (["bus"] as const) : [];
    const databases = ["order", "product", "payment", "customer", "saga", ...bus] as const;
    const token = system.demo.tokens.customer.split(".").at(-1) ?? "";
    const planted = { ...everything, token };
    const inTables = await tracesInDatabases(system.sql, databases, planted);
    // What strangers say on the bus is kept as they said it, as a dead letter.
    const letters = inTables.filter((one) => one.endsWith(": message"));
    for (const one of letters) expect(one).toMatch(/^\w+\.(bus_log|outbox_events|dead_letters): /);
    expect(inTables.filter((one) => !letters.includes(one))).toEqual([
      "order.order_status_history: reason",
      "order.orders: reason",
      "saga.saga_instances: reason",
    ]);

    const records = await Promise.all(Object.values(TOPICS).map(({ name }) => probe.records(name)));
    const messages = records
      .flat()
      .filter(({ value, headers }) => !isForeign(value + JSON.stringify(headers)));
    expect(messages.length).toBeGreaterThan(orders.length);
    expect(tracesIn(JSON.stringify(messages), planted)).toEqual([]);
    // The demo's banner gives tokens away, a line each; it is not a log.
    const logs = system.output().replaceAll(/^export [A-Z_]+_TOKEN=.*$/gm, "");
    expect(tracesIn(logs, planted)).toEqual([]);
    const metrics = await http(`${system.demo.internal}/metrics`);
    expect(metrics.status).toBe(200);
    expect(tracesIn(metrics.text, planted)).toEqual([]);
    expect(await calls()).toEqual(system.demo.natsUrl === undefined ? undefined : ["reason"]);
  });

  test("is shown to whom it belongs, and to staff", async () => {
    const { system } = shared();
    const items = [{ productId: system.demo.products.plenty, quantity: 1 }];
    const given = { ...address, line2: "c/o", postalCode: "SW1Y 4JH", country: "GB" };
    const answer = await placeTo(system, items, given);
    const { orderId } = await ended(system, placedOf(answer).orderId);
    for (const as of ["customer", "staff"] as const) {
      const shown = await system.api(`/orders/${orderId}`, { as });
      expect(shown).toMatchObject({ status: 200, body: { shippingAddress: given } });
      const { body } = await system.api("/orders?limit=1", { as });
      expect(body?.items).toMatchObject([{ orderId, shippingAddress: given }]);
    }
    expect(await system.api(`/orders/${orderId}`, { as: "otherCustomer" })).toMatchObject({ status: 404 });
  });
}

const isForeign = (text: string) => tracesIn(text, foreign).length > 0;

function placeTo(system: System, items: readonly Line[], shippingAddress: object) {
  return system.api("/orders", { key: randomUUID(), body: { items, shippingAddress } });
}

/** Orders that succeed, that fail, and one that its customer cancels and says why. */
async function placeAll(system: System): Promise<string[]> {
  const { plenty, soldOut } = system.demo.products;
  const to = { ...address, postalCode: "1", country: "PT" };
  const ids = await Promise.all(
    [plenty, soldOut, randomUUID()].map(async (productId) => {
      const answer = await placeTo(system, [{ productId, quantity: 1 }], to);
      return (await ended(system, placedOf(answer).orderId)).orderId;
    }),
  );
  const [created = ""] = ids;
  const cancelled = await system.api(`/orders/${created}/cancel`, { key: randomUUID(), body: typed });
  expect(cancelled.status).toBe(202);
  await until("it is cancelled", async () => {
    const { body } = await system.api(`/orders/${created}`);
    return body?.status === "cancelled" && (body.reason as { message?: string }).message === typed.reason;
  });
  return ids;
}

async function addCustomer(system: System): Promise<void> {
  const email = `${customer.local}@example.org`;
  const add = (name: string) =>
    system.api("/customers", { as: "staff", key: randomUUID(), body: { name, email } });
  expect(await add(customer.name)).toMatchObject({ status: 201, body: { name: customer.name, email } });
  expect(await add(customer.taken)).toMatchObject({ status: 409 });
}

/** What is refused is not kept either, and not talked about. */
async function sendNonsense(system: System): Promise<void> {
  const { plenty } = system.demo.products;
  const items = [{ productId: plenty, quantity: 1 }];
  const sent = [
    placeTo(system, items, { ...address, name: `${refused.body}\u0000` }),
    system.api("/orders", { key: randomUUID(), body: { items, [refused.field]: 1 } }),
    system.api("/orders", { key: randomUUID(), raw: `{"${refused.json}"` }),
    system.api(`/orders?email=${refused.query}`),
    system.api("/orders", { key: randomUUID(), body: { items, paymentMethod: CARD } }),
    system.api(`/orders/${randomUUID()}/pay`, { key: randomUUID(), body: { paymentMethod: CARD } }),
  ];
  for (const { status } of await Promise.all(sent)) expect([400, 422]).toContain(status);
}

async function toldOnBus({ probe }: Shared, orderIds: readonly string[]): Promise<void> {
  await until("the bus tells of the cancelled order", async () => {
    const records = await probe.records(TOPICS.orders.name);
    return records.some(({ key, value }) => key === orderIds[0] && value.includes('"ORDER_CANCELLED"'));
  });
}

/** What is said over NATS from now on: answers the values in it, or undefined where there is no NATS. */
async function listen(system: System): Promise<() => Promise<string[] | undefined>> {
  const { natsUrl } = system.demo;
  if (natsUrl === undefined) return () => Promise.resolve(undefined);
  const connection = await connect({ servers: natsUrl });
  const found = new Set<string>();
  let messages = 0;
  connection.subscribe(">", {
    callback: (_error, { data }) => {
      messages += 1;
      for (const name of tracesIn(Buffer.from(data).toString("latin1"), everything)) found.add(name);
    },
  });
  await connection.flush();
  return async () => {
    await connection.drain();
    expect(messages).toBeGreaterThan(0);
    return [...found].sort();
  };
}
