import { randomUUID } from "node:crypto";
import { createTccProtocol } from "../../engine/tcc.ts";
import type { TccInstance } from "../../engine/tcc-instance.ts";
import { createBatcher } from "../../lib/batcher.ts";
import { withTransaction } from "../../lib/database.ts";
import { payOrderTcc } from "../../services/saga/pay-order.tcc.ts";
import { createPayable } from "../../services/saga/payable.ts";
import { insertTransactions } from "../../services/saga/tcc.store.ts";
import { run, useServer } from "../support/service-database.ts";

/** How often an order may be tried to be paid, by two nodes that start payments at once in batches. */

const server = useServer();
const protocol = createTccProtocol([payOrderTcc], {
  leaseMs: 4_000,
  callTimeoutMs: 5_000,
  tryAttemptsMax: 3,
});
const attemptsMax = 5;

function transactionOf(orderId: string): TccInstance {
  const customerId = randomUUID();
  const input = { orderId, customerId, amountMinor: 1, currency: "EUR", paymentMethod: "sim_ok" };
  const about = { businessKey: orderId, ownerId: customerId, correlationId: "correlation" };
  return protocol.start({ id: randomUUID(), type: "PAY_ORDER", input, ...about }, new Date()).instance;
}

async function openNodes() {
  const { url, open } = await server.fresh("saga");
  const nodes = [0, 1].map(() => {
    const database = open({ lockTimeoutMs: 20_000, statementTimeoutMs: 20_000 });
    const payable = createPayable(database, attemptsMax);
    const start = createBatcher<TccInstance, string>({
      name: "pay",
      sizeMax: 16,
      run: async (transactions) => {
        await withTransaction(database, async (tx) => insertTransactions(tx, transactions, attemptsMax));
        return transactions.map(({ id }) => id);
      },
    });
    return { payable, start };
  });
  const pay = (node: number, orderId: string) => {
    const { start, payable } = nodes[node % 2] as (typeof nodes)[number];
    return start(transactionOf(orderId)).then(
      () => "started",
      (error) => {
        try {
          return payable.refused(orderId)(error);
        } catch (refusal) {
          return (refusal as { type?: string }).type;
        }
      },
    );
  };
  return { url, nodes, pay };
}

test("of sixty at once on two nodes no more start than there may be, and other orders are not concerned", async () => {
  const { url, pay } = await openNodes();
  const order = randomUUID();
  const others = Array.from({ length: 60 }, () => randomUUID());
  const [results, unconcerned] = await Promise.all([
    Promise.all(others.map((_, index) => pay(index, order))),
    Promise.all(others.map((other, index) => pay(index, other))),
  ]);
  expect(new Set(unconcerned)).toEqual(new Set(["started"]));
  const rows = await run<{ attempt: number }>(
    url,
    "select attempt from tcc_transactions where business_key = $1 order by attempt",
    [order],
  );
  const started = results.filter((result) => result === "started");
  expect(rows).toHaveLength(started.length);
  expect(started.length).toBeLessThanOrEqual(attemptsMax);
  expect(rows.map(({ attempt }) => attempt)).toEqual(rows.map((_, index) => index + 1));
  // A node that meets the other one at the same number says so; one after the other they use up what is left.
  for (let left = started.length; left < attemptsMax; left += 1) expect(await pay(0, order)).toBe("started");
  expect(await pay(1, order)).toBe("PAY_ATTEMPTS_EXHAUSTED");
});

test("an exhausted order is refused before the next batch, but for a request that was accepted", async () => {
  const { url, nodes, pay } = await openNodes();
  const orderId = randomUUID();
  for (let attempt = 0; attempt < attemptsMax; attempt += 1) await pay(0, orderId);
  expect(await pay(0, orderId)).toBe("PAY_ATTEMPTS_EXHAUSTED");
  await run(
    url,
    `insert into idempotency_records (subject, key, operation, request_hash, status)
     values ('somebody', 'accepted', 'pay', 'hash', 'COMPLETED')`,
  );
  const order = { orderId, status: "created" } as Parameters<(typeof nodes)[number]["payable"]["check"]>[0];
  const check = (node: number, key: string) =>
    nodes[node]?.payable.check(order, { subject: "somebody", key, operation: "pay", requestHash: "hash" });
  await expect(check(0, "new")).rejects.toMatchObject({ code: 409, type: "PAY_ATTEMPTS_EXHAUSTED" });
  await expect(check(0, "accepted")).resolves.toBeUndefined();
  // The other node has not met it yet.
  await expect(check(1, "new")).resolves.toBeUndefined();
});
