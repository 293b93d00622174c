import { randomUUID } from "node:crypto";
import { createTccProtocol } from "../../engine/tcc.ts";
import type { TccInstance, TccState } from "../../engine/tcc-instance.ts";
import { withTransaction } from "../../lib/database.ts";
import { payOrderTcc } from "../../services/saga/pay-order.tcc.ts";
import { createTccStore, insertTransactions } from "../../services/saga/tcc.store.ts";
import { run, useServer } from "../support/service-database.ts";

/** The decision is one compare-and-set of a row, before its deadline, on a real PostgreSQL. */

const server = useServer();
const protocol = createTccProtocol([payOrderTcc], {
  leaseMs: 4_000,
  callTimeoutMs: 5_000,
  tryAttemptsMax: 3,
});

async function setUp() {
  const { url, open } = await server.fresh("saga");
  const database = open();
  const store = createTccStore(database);
  const orderId = randomUUID();
  const customerId = randomUUID();
  const { instance } = protocol.start(
    {
      id: randomUUID(),
      type: "PAY_ORDER",
      input: { orderId, customerId, amountMinor: 1, currency: "EUR", paymentMethod: "sim_ok" },
      businessKey: orderId,
      ownerId: customerId,
      correlationId: "correlation",
    },
    new Date(),
  );
  await withTransaction(database, async (tx) => insertTransactions(tx, [instance]));
  const load = async () => {
    const [loaded] = await store.transaction((tx) => store.load(tx, [instance.id]));
    if (!loaded) throw new Error("the transaction is not there");
    return loaded;
  };
  const before = await load();
  const decide = (state: TccState, from: TccInstance = before) =>
    store.saveAlone([{ before: from, after: { ...from, state }, published: [] }]);
  return { url, before, load, decide };
}

test("two that decide differently at once: one decision stands, and is never reversed", async () => {
  const { before, load, decide } = await setUp();
  const decisions = await Promise.all(
    Array.from({ length: 10 }, (_, index) => decide(index % 2 === 0 ? "CONFIRMING" : "CANCELLING")),
  );
  expect(decisions.flatMap((saved) => [...saved])).toEqual([before.id]);
  const decided = await load();
  expect(decided.version).toBe(before.version + 1);
  for (const state of ["CONFIRMING", "CANCELLING"] as const)
    await expect(decide(state)).resolves.toEqual(new Set());
  await expect(load()).resolves.toEqual(decided);
});

test("after its deadline it may only be cancelled", async () => {
  const { url, before, load, decide } = await setUp();
  await run(url, "update tcc_transactions set expires_at = now()");
  await expect(decide("CONFIRMING")).resolves.toEqual(new Set());
  await expect(load()).resolves.toMatchObject({ state: "TRYING" });
  await expect(decide("CANCELLING")).resolves.toEqual(new Set([before.id]));
});
