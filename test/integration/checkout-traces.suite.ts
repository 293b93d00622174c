import { randomBytes, randomUUID } from "node:crypto";
import {
  type CollectedSpan,
  type Collector,
  missingForCollector,
  pathTo,
  topsOf,
  treeOf,
} from "../support/collector.ts";
import { ended, order, placedOf } from "../support/shop.ts";
import type { Mode, System } from "../support/system.ts";
import { until } from "../support/until.ts";
import type { Shared } from "../support/use-system.ts";

/** One trace from a request to the last thing that follows from it, read back from a real collector. */

const callerSpan = "00f067aa0ba902b7";

function caller(traceId = randomBytes(16).toString("hex")) {
  return { traceId, headers: { traceparent: `00-${traceId}-${callerSpan}-01` } };
}

async function asked(system: System, path: string, body: object) {
  const { traceId, headers } = caller();
  const correlationId = `trace-${traceId}`;
  const answer = await system.api(path, {
    key: randomUUID(),
    headers: { ...headers, "x-correlation-id": correlationId },
    body,
  });
  expect({ status: answer.status, text: answer.text }).toMatchObject({ status: 202 });
  return { traceId, correlationId, answer };
}

const plenty = ({ demo }: System) => ({ items: [{ productId: demo.products.plenty, quantity: 1 }] });

/** Connected: one top, which is the caller's child, and every other span has its parent in the trace. */
function expectConnected(spans: readonly CollectedSpan[]): void {
  expect(topsOf(spans).map(({ name, parentId }) => ({ name, parentId }))).toEqual([
    { name: expect.stringMatching(/^post \/api\//), parentId: callerSpan },
  ]);
}

function show(what: string, spans: readonly CollectedSpan[]): void {
  if (process.env.PRINT_TRACES) process.stdout.write(`\n${what}\n${treeOf(spans)}\n`);
}

export function traces(mode: Mode, shared: () => Shared, started: () => Collector | undefined): void {
  const collector = () => {
    const there = started();
    if (there === undefined) throw new Error("there is no collector");
    return there;
  };
  const test = missingForCollector() === undefined ? globalThis.test : globalThis.test.skip;
  // On the stack each service is a process of its own: a call has a span on either side.
  const rpc = (...names: string[]) =>
    names.flatMap((name) => (mode === "stack" ? [`call ${name}`, name] : [name]));
  const at = (spans: readonly CollectedSpan[], name: string, service: string) =>
    spans.find((span) => span.name === name && span.localEndpoint.serviceName === service);

  test("of an order leads over calls, transactions, outbox and records to its saga's end", async () => {
    const { system, probe } = shared();
    // What is printed is not a system's first order.
    if (process.env.PRINT_TRACES) await ended(system, (await order(system, plenty(system).items)).orderId);
    const { traceId, correlationId, answer } = await asked(system, "/orders", plenty(system));
    const { orderId, sagaId } = placedOf(answer);
    await ended(system, orderId);
    const spans = await collector().trace(traceId, [
      "post /api/orders",
      "create_order",
      "outbox order_confirmed",
      "publish oms.orders.events",
      "customer.validate",
      "process stock_reserved",
    ]);
    expectConnected(spans);
    const saga = ["post /api/orders", ...rpc("saga.createorder"), "create_order"];
    const reserve = [
      "engine saves",
      "transaction outbox_append",
      "outbox reserve_stock",
      "publish oms.saga.commands",
    ];
    const reserved = [
      "process reserve_stock",
      "transaction outbox_append",
      "outbox stock_reserved",
      "publish oms.products.events",
    ];
    expect(pathTo(spans, at(spans, "process stock_reserved", "saga"))).toEqual([
      ...saga,
      ...reserve,
      ...reserved,
      "process stock_reserved",
    ]);
    expect(pathTo(spans, at(spans, "outbox order_confirmed", "order"))).toEqual([
      ...saga,
      ...rpc("order.confirm"),
      "order.confirm",
      "transaction outbox_append",
      "outbox order_confirmed",
    ]);
    expect(at(spans, "create_order", "saga")?.tags).toMatchObject({
      orderId,
      instanceId: sagaId,
      state: "COMPLETED",
      correlationId,
    });
    expect(new Set(spans.map(({ localEndpoint }) => localEndpoint.serviceName))).toEqual(
      new Set(["gateway", "saga", "product", "order", "customer"]),
    );
    show("order", spans);
    const publication = spans.find(
      ({ name, parentId }) =>
        name === "publish oms.orders.events" && parentId === at(spans, "outbox order_confirmed", "order")?.id,
    );
    const record = (await probe.records("oms.orders.events")).find(
      ({ key, headers }) => key === orderId && headers["event-type"] === "ORDER_CONFIRMED",
    );
    expect(record?.headers.traceparent).toBe(`00-${traceId}-${publication?.id}-01`);
    expect(
      system
        .output()
        .split("\n")
        .filter((line) => line.includes(traceId)).length,
    ).toBeGreaterThan(2);
  });

  test("of a payment leads over all three participants", async () => {
    const { system } = shared();
    const { orderId } = await order(system, plenty(system).items);
    await ended(system, orderId);
    const { traceId } = await asked(system, `/orders/${orderId}/pay`, { paymentMethod: "sim_ok" });
    const told = ["outbox payment_completed", "outbox order_paid", "outbox stock_confirmed"];
    const spans = await collector().trace(traceId, ["pay_order", "post /api/orders/:orderid/pay", ...told]);
    expectConnected(spans);
    const confirmed = (name: string) => [
      "post /api/orders/:orderid/pay",
      ...rpc("saga.payorder"),
      "pay_order",
      ...rpc(name),
    ];
    expect(pathTo(spans, at(spans, "outbox order_paid", "order"))).toEqual([
      ...confirmed("order.confirmpay"),
      "order.confirmpay",
      "transaction outbox_append",
      "outbox order_paid",
    ]);
    expect(pathTo(spans, at(spans, "outbox stock_confirmed", "product"))).toEqual([
      ...confirmed("product.stockconfirm"),
      "product.stock.confirm",
      "transaction outbox_append",
      "outbox stock_confirmed",
    ]);
    expect(pathTo(spans, at(spans, "outbox payment_completed", "payment"))).toEqual(
      expect.arrayContaining(confirmed("payment.confirm")),
    );
    show("payment", spans);
  });

  test("of orders at once keep apart, and point to the batches that they shared", async () => {
    const { system } = shared();
    const placed = await Promise.all(
      Array.from({ length: 12 }, () => asked(system, "/orders", plenty(system))),
    );
    const sizes: number[] = [];
    for (const { traceId, correlationId } of placed) {
      const spans = await collector().trace(traceId, [
        "create_order",
        "outbox order_confirmed",
        "post /api/orders",
      ]);
      expectConnected(spans);
      for (const { tags } of spans) expect(tags.correlationId).toBe(correlationId);
      const shares = spans.filter(
        ({ tags }) => Number(tags["batch.size"] ?? 1) > 1 && tags.links !== undefined,
      );
      sizes.push(...shares.map(({ tags }) => Number(tags["batch.size"])));
      const [batchTrace = ""] = shares.at(0)?.tags.links?.split("/") ?? [];
      if (batchTrace !== "") {
        const [batch] = await collector().trace(batchTrace, []);
        expect(batch?.tags.links).toContain(traceId);
      }
    }
    expect(Math.max(...sizes)).toBeGreaterThan(1);
  });

  test("are not made of what nobody samples", async () => {
    const { system } = shared();
    const traceId = randomBytes(16).toString("hex");
    const { orderId, sagaId } = placedOf(
      await system.api("/orders", {
        key: randomUUID(),
        headers: { traceparent: `00-${traceId}-${callerSpan}-00` },
        body: plenty(system),
      }),
    );
    await ended(system, orderId);
    const rows = await until("its events are out", async () => {
      const found = await system.sql<{ traceparent: string | null }>(
        "order",
        "select headers ->> 'traceparent' as traceparent from outbox where aggregate_id = $1 and status = 'PUBLISHED'",
        [orderId],
      );
      return found.length > 1 && found;
    });
    expect(rows.every(({ traceparent }) => traceparent === null)).toBe(true);
    await expect(
      system.sql("saga", "select traceparent from saga_instances where id = $1", [sagaId]),
    ).resolves.toEqual([{ traceparent: null }]);
  });
}
