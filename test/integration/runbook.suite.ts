import { randomUUID } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { SagaView, TransactionView } from "../../lib/contracts.ts";
import { TOPICS } from "../../lib/events.ts";
import type {
  DeadLetterDetails,
  DeadLetterGroup,
  DeadLetterView,
  TrailEntry,
} from "../../lib/operator-contracts.ts";
import { DEMO_CUSTOMERS } from "../../migrations/seeds/demo.ts";
import { created, orderIs, pay } from "../support/money.ts";
import { oms, omsJson, runOperator } from "../support/oms.ts";
import { ended, order } from "../support/shop.ts";
import type { System } from "../support/system.ts";
import { until } from "../support/until.ts";
import type { Shared } from "../support/use-system.ts";
import { newProduct } from "./checkout-catalogue.suite.ts";
import { letterOf, refuseReservations } from "./checkout-operations.suite.ts";

const because = ["--reason", "as the runbook says"];
/** From then on a step that is undone is stuck when it fails once more (engine/define.ts). */
const ATTEMPTS = 25;

/** Orders of the demo's inactive customer cannot be cancelled until the answer is called. */
async function refuseCancellations(system: System): Promise<() => Promise<unknown>> {
  await system.sql(
    "order",
    `create function refuse_cancellation() returns trigger language plpgsql as
     $$ begin raise exception 'refused for the runbook' using errcode = '22000'; end $$`,
  );
  await system.sql(
    "order",
    `create trigger refuse_cancellation before update on orders for each row
     when (new.status = 'cancelled' and new.customer_id = '${DEMO_CUSTOMERS.inactive}')
     execute function refuse_cancellation()`,
  );
  return () => system.sql("order", "drop function refuse_cancellation cascade");
}

/** A saga that cannot undo itself. That it has tried so often takes ten minutes; here they are told to have passed. */
async function stuckSaga(system: System): Promise<{ orderId: string; sagaId: string }> {
  const items = [{ productId: system.demo.products.plenty, quantity: 1 }];
  const placed = await order(system, items, { as: "inactiveCustomer" });
  await until(
    "it is stuck",
    async () => {
      const { state } = await omsJson<SagaView>(system, "saga", placed.sagaId);
      await system.sql(
        "saga",
        `update saga_instances set attempt = ${ATTEMPTS}, wake_at = now()
         where id = $1 and state = 'COMPENSATING' and attempt between 2 and ${ATTEMPTS - 1}`,
        [placed.sagaId],
      );
      return state === "STUCK";
    },
    { timeoutMs: 60_000 },
  );
  return placed;
}

/** The cases of docs/runbook.md, played through by the commands that it names. */
export function runbook(shared: () => Shared): void {
  test("a saga that cannot undo itself is found, mended and freed", async () => {
    const { system } = shared();
    const mend = await refuseCancellations(system);
    const { orderId, sagaId } = await stuckSaga(system);
    const found = await omsJson<{ sagas: SagaView[] }>(system, "stuck");
    expect(found.sagas.map((one) => one.sagaId)).toContain(sagaId);
    const shown = await oms(system, "saga", sagaId);
    expect(shown.out).toContain(`CREATE_ORDER ${sagaId}: STUCK at draftOrder`);
    expect(shown.out).toMatch(/draftOrder +COMPENSATING +\d+ +/);
    // A retry before the cause is mended harms nothing.
    await expect(oms(system, "retry", sagaId, ...because)).resolves.toMatchObject({ code: 0 });
    await mend();
    // The engine tries by itself, too: where that came first there is nothing left to free.
    const { code, err } = await oms(system, "retry", sagaId, ...because);
    expect(code === 0 ? "" : err).toMatch(/^$|OPERATION_NOT_POSSIBLE/);
    const order = await ended(system, orderId, { as: "inactiveCustomer" });
    expect(order).toMatchObject({ status: "cancelled", reason: { code: "CUSTOMER_INACTIVE" } });
    await until("it has ended", async () => {
      const { state } = await omsJson<SagaView>(system, "saga", sagaId);
      return state === "COMPENSATED";
    });
    const after = await omsJson<{ sagas: SagaView[] }>(system, "stuck");
    expect(after.sagas.map((one) => one.sagaId)).not.toContain(sagaId);
    const deeds = await omsJson<TrailEntry[]>(system, "audit", "--target", sagaId);
    const retried = { action: "operator.retry", detail: { result: "done", reason: "as the runbook says" } };
    // What was refused changed nothing, and is no deed.
    expect(deeds).toMatchObject(code === 0 ? [retried, { action: "operator.retry" }] : [retried]);
    expect(await oms(system, "retry", sagaId, ...because)).toMatchObject({
      code: 1,
      err: expect.stringContaining("409 OPERATION_NOT_POSSIBLE"),
    });
  }, 120_000);

  test("messages that were refused are delivered after a fix, and the rest is put away", async () => {
    const { system, probe } = shared();
    const { productId } = await newProduct(system, 5);
    const mend = await refuseReservations(system, productId);
    const { orderId, sagaId } = await order(system, [{ productId, quantity: 2 }]);
    const { letterId, error } = await letterOf(system, sagaId);
    const groups = await omsJson<DeadLetterGroup[]>(system, "dlq");
    const group = groups.find(
      ({ code, source }) => code === error.code && source === "product-service-group",
    );
    expect(group).toMatchObject({ topic: TOPICS.sagaCommands.name, letters: expect.any(Number) });
    const letter = await omsJson<DeadLetterDetails>(system, "dlq", letterId);
    expect(letter).toMatchObject({ letterId, status: "OPEN", value: expect.stringContaining(sagaId) });

    const vain = await oms(system, "redrive", letterId, ...because);
    expect(vain).toMatchObject({ code: 1, out: expect.stringContaining("delivered: 0, failed: 1") });
    await mend();
    // Others of its kind may be there that nothing mends: they keep nobody from their turn.
    const kind = ["--code", error.code, "--topic", TOPICS.sagaCommands.name, "--source", letter.source];
    await oms(system, "redrive", ...kind, ...because);
    await expect(ended(system, orderId)).resolves.toMatchObject({ status: "created" });
    const delivered = await omsJson<DeadLetterView[]>(system, "dlq", "--status", "REDRIVEN", ...kind);
    expect(delivered.map((one) => one.letterId)).toContain(letterId);
    expect(await oms(system, "redrive", letterId, ...because)).toMatchObject({
      code: 1,
      out: expect.stringContaining("LETTER_NOT_OPEN"),
    });

    // A refused event of an outbox keeps others waiting: it is not put away with the rest.
    const eventId = randomUUID();
    const refused = {
      source: "outbox",
      topic: TOPICS.orders.name,
      error: "refused",
      attempts: 5,
      position: 1,
    };
    await probe.publish({
      topic: TOPICS.deadLetters.name,
      partition: 0,
      key: eventId,
      value: JSON.stringify({ eventId, data: refused }),
      headers: {},
    });
    const planted = await until("it is taken", async () => {
      const open = await omsJson<DeadLetterView[]>(system, "dlq", "--source", "outbox", "--limit", "1000");
      return open.find((one) => one.topic === TOPICS.orders.name);
    });
    const away = await oms(system, "discard", "--all", ...because);
    expect(away).toMatchObject({ code: 1, out: expect.stringContaining("1 EVENT_BLOCKS_AGGREGATE") });
    const left = await omsJson<DeadLetterView[]>(system, "dlq", "--list", "--limit", "1000");
    expect(left.map((one) => one.letterId)).toEqual([planted.letterId]);
    await system.sql("saga", "delete from dead_letters where id = $1", [planted.letterId]);
    expect(await oms(system, "discard", "--all", ...because)).toMatchObject({ code: 0, out: "put away: 0" });
    expect(await oms(system, "dlq")).toMatchObject({ code: 0, out: "no dead letter is open" });
    const deeds = await omsJson<TrailEntry[]>(system, "audit", "--target", planted.letterId);
    expect(deeds).toMatchObject([
      { action: "operator.discard", detail: { result: "EVENT_BLOCKS_AGGREGATE" } },
    ]);
  }, 120_000);

  test("a payment that its provider leaves open is cancelled by force", async () => {
    const { system } = shared();
    const { orderId } = await created(system, [{ productId: system.demo.products.plenty, quantity: 1 }]);
    const transactionId = String((await pay(system, orderId, "sim_slow")).body?.transactionId);
    const open = await omsJson<TransactionView[]>(system, "transactions", "--state", "TRYING");
    expect(open.map((one) => one.transactionId)).toContain(transactionId);
    await expect(oms(system, "force-cancel", transactionId, ...because)).resolves.toMatchObject({ code: 0 });
    await until("it is cancelled", async () => {
      const view = await omsJson<TransactionView>(system, "transaction", transactionId);
      return view.state === "CANCELLED" && view.error?.code === "OPERATOR";
    });
    await orderIs(system, orderId, "created");
    // What knows a saga's verbs alone says so, and what both know finds the transaction.
    expect(await oms(system, "skip", transactionId, ...because)).toMatchObject({
      code: 1,
      err: expect.stringContaining("404 SAGA_NOT_FOUND"),
    });
    expect(await oms(system, "retry", transactionId, ...because)).toMatchObject({
      code: 1,
      err: expect.stringContaining("409 OPERATION_NOT_POSSIBLE"),
    });
  });

  test("what waits is shown for each service", async () => {
    const { system } = shared();
    const outbox = await oms(system, "outbox");
    const lag = await oms(system, "lag");
    for (const service of ["order", "product", "payment", "customer", "saga"])
      expect(outbox.out).toMatch(new RegExp(`^${service} +\\d+ +\\d+ +0$`, "m"));
    for (const service of ["order", "product", "payment", "saga"])
      expect(lag.out).toMatch(new RegExp(`^${service}-service-group +oms\\.`, "m"));
    expect([outbox.code, lag.code]).toEqual([0, 0]);
  });

  test("as a command it tells scripts by its exit code", async () => {
    const { system } = shared();
    const here = { DATA_DIR: system.dataDir };
    const nobody = randomUUID();
    const away = { OMS_URL: "http://127.0.0.1:1", OMS_TOKEN: "none" };
    const customer = { OMS_URL: system.demo.api, OMS_TOKEN: system.demo.tokens.customer };
    const said = await Promise.all([
      runOperator(["oms.ts", "sagas", "--limit", "2", "--json"], here),
      runOperator(["oms.ts", "saga", nobody], here),
      runOperator(["oms.ts", "retry", nobody], here),
      runOperator(["oms.ts", "stuck"], away),
      runOperator(["oms.ts", "stuck"], customer),
    ]);
    expect(said.map(({ code }) => code)).toEqual([0, 1, 2, 3, 1]);
    expect(JSON.parse(said[0]?.out ?? "")).toHaveLength(2);
    expect(said[4]?.err).toContain("403 FORBIDDEN");
  }, 60_000);

  test("the REPL joins, knows the same verbs, and can call nothing past them", async () => {
    const { system } = shared();
    const home = mkdtempSync(join(tmpdir(), "holdfast-repl-"));
    const nobody = randomUUID();
    const lines = [
      "nodes",
      "outbox",
      `retry ${nobody} --reason "as the runbook says"`,
      `call saga.retry --id ${nobody} --actor me --reason because`,
      "exit",
    ];
    const env = { DATA_DIR: system.dataDir, HOME: home, NO_COLOR: "1" };
    const { code, out, err } = await runOperator(["repl.ts"], env, `${lines.join("\n")}\n`);
    rmSync(home, { recursive: true, force: true });
    expect({ code, out }).toMatchObject({ code: 0, out: expect.stringMatching(/^order +\d+ +\d+ +0$/m) });
    expect(err).toContain("404 TRANSACTION_NOT_FOUND");
    const isCluster = system.demo.natsUrl !== undefined;
    expect(out + err).toContain(isCluster ? "saga.retry is not for null" : "ServiceNotFoundError");
    if (isCluster) expect(out.match(/ONLINE/g)?.length).toBeGreaterThan(5);
  }, 60_000);
}
