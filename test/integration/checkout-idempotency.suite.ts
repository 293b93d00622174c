import { randomUUID } from "node:crypto";
import type { HttpAnswer } from "../support/http.ts";
import { ended, placedOf } from "../support/shop.ts";
import type { System } from "../support/system.ts";
import type { Shared } from "../support/use-system.ts";

const basket = (system: System, quantity = 1) => ({
  items: [{ productId: system.demo.products.plenty, quantity }],
});

async function sagaCount(system: System): Promise<number> {
  const [row] = await system.sql<{ count: number }>(
    "saga",
    "select count(*)::int as count from saga_instances",
  );
  return row?.count ?? -1;
}

const answerOf = ({ status, text, headers }: HttpAnswer) => ({ status, text, location: headers.location });
const isReplay = ({ headers }: HttpAnswer) => headers["idempotent-replayed"] === "true";

export function idempotency(shared: () => Shared): void {
  test("sent 20 times at once makes one order and one saga, and gets one answer", async () => {
    const { system } = shared();
    const before = await sagaCount(system);
    const key = randomUUID();
    const answers = await Promise.all(
      Array.from({ length: 20 }, () => system.api("/orders", { key, body: basket(system) })),
    );
    const [first] = answers.map(answerOf);
    expect(first?.status).toBe(202);
    expect(answers.map(answerOf)).toEqual(answers.map(() => first));
    expect(answers.filter(isReplay)).toHaveLength(19);
    await expect(sagaCount(system)).resolves.toBe(before + 1);
    const { orderId } = placedOf(answers[0] as HttpAnswer);
    await expect(ended(system, orderId)).resolves.toMatchObject({ status: "created" });
  });

  test("with two payloads at once takes one of them, and refuses the other every time", async () => {
    const { system } = shared();
    const before = await sagaCount(system);
    const key = randomUUID();
    const answers = await Promise.all(
      Array.from({ length: 20 }, async (_, index) => {
        const payload = index % 2;
        return { payload, answer: await system.api("/orders", { key, body: basket(system, 1 + payload) }) };
      }),
    );
    const accepted = answers.filter(({ answer }) => answer.status === 202);
    const refused = answers.filter(({ answer }) => answer.status === 422);
    expect([accepted.length, refused.length]).toEqual([10, 10]);
    expect(new Set(accepted.map(({ payload }) => payload)).size).toBe(1);
    expect(new Set(accepted.map(({ answer }) => answer.text)).size).toBe(1);
    for (const { answer } of refused) expect(answer.body?.code).toBe("IDEMPOTENCY_KEY_REUSED");
    await expect(sagaCount(system)).resolves.toBe(before + 1);
    const orders = accepted.map(({ answer }) => placedOf(answer).orderId);
    await ended(system, orders[0] ?? "");
  });

  test("seen before is answered as the first time, also when the order has long ended", async () => {
    const { system } = shared();
    const key = randomUUID();
    const first = await system.api("/orders", { key, body: basket(system) });
    expect(first.headers["idempotent-replayed"]).toBeUndefined();
    const { orderId } = placedOf(first);
    await ended(system, orderId);

    const again = await system.api("/orders", { key, body: basket(system) });
    expect(isReplay(again)).toBe(true);
    expect(answerOf(again)).toEqual(answerOf(first));
    // The same request as far as anyone can mean it: other spacing, other order of fields, the other address.
    const { productId } = basket(system).items[0] ?? { productId: "" };
    const raw = `{ "items": [ { "quantity": 1, "productId": "${productId.toUpperCase()}" } ] }`;
    for (const path of ["/orders", "/orders/saga"]) {
      const respelled = await system.api(path, {
        key,
        raw,
        headers: { "content-type": "application/json" },
      });
      expect(isReplay(respelled)).toBe(true);
      expect(answerOf(respelled)).toEqual(answerOf(first));
    }
  });

  test("seen before with another payload is refused, and the first order stays what it was", async () => {
    const { system } = shared();
    const key = randomUUID();
    const { orderId } = placedOf(await system.api("/orders", { key, body: basket(system) }));
    const before = await ended(system, orderId);
    const sagas = await sagaCount(system);
    for (const body of [basket(system, 2), { ...basket(system), paymentMethod: "sim_ok" }]) {
      const refused = await system.api("/orders", { key, body });
      expect(refused.status).toBe(422);
      expect(refused.body?.code).toBe("IDEMPOTENCY_KEY_REUSED");
      expect(isReplay(refused)).toBe(false);
    }
    await expect(ended(system, orderId)).resolves.toEqual(before);
    await expect(sagaCount(system)).resolves.toBe(sagas);
  });

  test("of one customer is another key in the hands of another", async () => {
    const { system } = shared();
    const key = randomUUID();
    const mine = await system.api("/orders", { key, body: basket(system) });
    const theirs = await system.api("/orders", { key, as: "otherCustomer", body: basket(system, 5) });
    expect([mine.status, theirs.status]).toEqual([202, 202]);
    expect(isReplay(theirs)).toBe(false);
    expect(placedOf(theirs).orderId).not.toBe(placedOf(mine).orderId);
    await ended(system, placedOf(mine).orderId);
    await ended(system, placedOf(theirs).orderId, { as: "otherCustomer" });
  });

  test("of a request that was refused is still free", async () => {
    const { system } = shared();
    const key = randomUUID();
    const refused = await system.api("/orders", { key, body: basket(system, 0) });
    expect(refused.status).toBe(422);
    const accepted = await system.api("/orders", { key, body: basket(system) });
    expect(accepted.status).toBe(202);
    expect(isReplay(accepted)).toBe(false);
    await ended(system, placedOf(accepted).orderId);
  });

  test("may be as long as 255 characters, and quoted or not is the same", async () => {
    const { system } = shared();
    const key = `${randomUUID()}${"k".repeat(219)}`;
    const first = await system.api("/orders", { key, body: basket(system) });
    expect(first.status).toBe(202);
    const again = await system.api("/orders", { key: `"${key}"`, body: basket(system) });
    expect(isReplay(again)).toBe(true);
    expect(answerOf(again)).toEqual(answerOf(first));
    await ended(system, placedOf(first).orderId);
  });
}
