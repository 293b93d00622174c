import { randomUUID } from "node:crypto";
import type { Page, SagaView } from "../../lib/contracts.ts";
import type { DeadLetterView, RedriveAnswer, TrailEntry } from "../../lib/operator-contracts.ts";
import { created, orderIs, pay, refusalOf, transactionEnded } from "../support/money.ts";
import { ended, order } from "../support/shop.ts";
import type { System } from "../support/system.ts";
import { until } from "../support/until.ts";
import type { Shared } from "../support/use-system.ts";
import { newProduct } from "./checkout-catalogue.suite.ts";

const get = async <View>(system: System, path: string): Promise<View> => {
  const answer = await system.api(path, { as: "operator" });
  expect({ status: answer.status, text: answer.text }).toMatchObject({ status: 200 });
  return answer.body as unknown as View;
};

const post = (system: System, path: string, body: object, key?: string) =>
  system.api(path, { as: "operator", key, body });

const reason = "seen in the runbook";

const revoke = async (system: System) =>
  expect(await post(system, "/ops/tokens/revoke", { subject: "nobody-in-particular", reason })).toMatchObject(
    {
      status: 200,
    },
  );

/** No order can reserve this product until the answer is called: every RESERVE_STOCK of it becomes a dead letter. */
export async function refuseReservations(system: System, productId: string): Promise<() => Promise<unknown>> {
  const name = `refuse_${productId.replaceAll("-", "_")}`;
  await system.sql(
    "product",
    `create function ${name}() returns trigger language plpgsql as
     $$ begin raise exception 'refused for the test' using errcode = '22000'; end $$`,
  );
  await system.sql(
    "product",
    `create trigger ${name} before insert on stock_reservations for each row
     when (new.product_id = '${productId}') execute function ${name}()`,
  );
  return () => system.sql("product", `drop function ${name} cascade`);
}

/** The open letter of the saga that asked. */
export function letterOf(system: System, sagaId: string): Promise<DeadLetterView> {
  return until(
    `the dead letter of ${sagaId}`,
    async () => {
      const [row] = await system.sql<{ id: string }>(
        "saga",
        "select id from dead_letters where letter::text like '%' || $1 || '%'",
        [sagaId],
      );
      const { items } = await get<Page<DeadLetterView>>(
        system,
        "/ops/dead-letters?status=OPEN&eventType=RESERVE_STOCK&limit=100",
      );
      return items.find(({ letterId }) => letterId === row?.id);
    },
    { timeoutMs: 30_000 },
  );
}

const deedsAbout = async (system: System, id: string) => {
  const { items } = await get<Page<TrailEntry>>(system, `/ops/audit?action=operator&targetId=${id}`);
  return items.map(({ action, target, detail }) => ({ action, target, ...detail }));
};

/** What an operator sees of what is stuck, and does about it. */
export function operations(shared: () => Shared): void {
  test("finds the dead letter that keeps an order waiting, and delivers it again", async () => {
    const { system } = shared();
    const { productId } = await newProduct(system, 5);
    const repair = await refuseReservations(system, productId);
    const { orderId, sagaId } = await order(system, [{ productId, quantity: 2 }]);
    const letter = await letterOf(system, sagaId);
    expect(letter).toMatchObject({
      source: "product-service-group",
      topic: "oms.saga.commands",
      error: { message: "refused for the test" },
      status: "OPEN",
      redrives: 0,
    });
    const open = await get<Page<SagaView>>(system, "/ops/sagas?state=RUNNING&type=CREATE_ORDER&limit=100");
    expect(open.items.find((saga) => saga.sagaId === sagaId)).toMatchObject({ currentStep: "reserveStock" });

    const body = { letterIds: [letter.letterId], reason };
    const vain = await post(system, "/ops/dead-letters/redrive", body);
    expect(vain).toMatchObject({
      status: 200,
      body: { redriven: [], failed: [{ letterId: letter.letterId }] },
    });
    await repair();
    const key = randomUUID();
    const done = { status: 200, body: { redriven: [letter.letterId], failed: [] } };
    expect(await post(system, "/ops/dead-letters/redrive", body, key)).toMatchObject(done);
    const again = await post(system, "/ops/dead-letters/redrive", body, key);
    expect(again).toMatchObject({ ...done, headers: { "idempotent-replayed": "true" } });
    expect(
      (await post(system, "/ops/dead-letters/redrive", body)).body as unknown as RedriveAnswer,
    ).toMatchObject({ redriven: [], failed: [{ error: { code: "LETTER_NOT_OPEN" } }] });
    await expect(ended(system, orderId)).resolves.toMatchObject({ status: "created" });
    const known = await get<Page<DeadLetterView>>(system, "/ops/dead-letters?status=REDRIVEN&limit=100");
    expect(known.items.find(({ letterId }) => letterId === letter.letterId)).toMatchObject({ redrives: 2 });
    const deeds = await deedsAbout(system, letter.letterId);
    expect(deeds).toMatchObject([
      { result: "LETTER_NOT_OPEN" },
      { action: "operator.redrive", target: `dead-letter ${letter.letterId}`, result: "done", reason },
      { result: expect.any(String) },
    ]);
  });

  test("undoes an order whose stock does not answer, or asks for it again", async () => {
    const { system } = shared();
    const { productId } = await newProduct(system, 5);
    const repair = await refuseReservations(system, productId);
    const lines = [{ productId, quantity: 1 }];
    const placed = await Promise.all([order(system, lines), order(system, lines)]);
    for (const { sagaId } of placed) await letterOf(system, sagaId);
    await repair();
    const [undone, retried] = placed as [(typeof placed)[0], (typeof placed)[0]];
    const key = randomUUID();
    const compensate = () => post(system, `/ops/sagas/${undone.sagaId}/compensate`, { reason }, key);
    const done = { status: 200, body: { id: undone.sagaId, action: "compensate", done: true } };
    expect(await compensate()).toMatchObject(done);
    expect(await compensate()).toMatchObject({ ...done, headers: { "idempotent-replayed": "true" } });
    expect(await post(system, `/ops/sagas/${retried.sagaId}/retry`, { reason })).toMatchObject({
      status: 200,
    });
    await expect(ended(system, undone.orderId)).resolves.toMatchObject({
      status: "cancelled",
      reason: { code: "OPERATOR" },
    });
    await expect(ended(system, retried.orderId)).resolves.toMatchObject({ status: "created" });
    await expect(deedsAbout(system, undone.sagaId)).resolves.toEqual([
      { action: "operator.compensate", target: `saga ${undone.sagaId}`, result: "done", reason },
    ]);
    for (const verb of ["retry", "skip", "compensate"]) {
      const refused = await post(system, `/ops/sagas/${retried.sagaId}/${verb}`, { reason });
      expect(refusalOf(refused)).toEqual({ status: 409, code: "OPERATION_NOT_POSSIBLE" });
    }
  });

  test("cancels a payment that its provider leaves open", async () => {
    const { system } = shared();
    const { orderId } = await created(system, [{ productId: system.demo.products.plenty, quantity: 1 }]);
    const { transactionId } = (await pay(system, orderId, "sim_slow")).body ?? {};
    const listed = await get<Page<{ transactionId: string; stuck: boolean }>>(
      system,
      "/ops/transactions?state=TRYING&limit=100",
    );
    const mine = listed.items.find((one) => one.transactionId === transactionId);
    expect(mine).toMatchObject({ transactionId, stuck: false });
    const answer = await post(system, `/ops/transactions/${transactionId}/force-cancel`, { reason });
    expect(answer).toMatchObject({ status: 200, body: { action: "force-cancel", done: true } });
    await expect(transactionEnded(system, String(transactionId))).resolves.toMatchObject({
      state: "CANCELLED",
      error: { code: "OPERATOR" },
    });
    await orderIs(system, orderId, "created");
    await expect(get(system, `/ops/transactions/${transactionId}`)).resolves.toMatchObject({ orderId });
  });

  test("has a step of paying fail once, in demo mode: it is done again", async () => {
    const { system } = shared();
    const { productId } = await newProduct(system, 1);
    const { orderId } = await created(system, [{ productId, quantity: 1 }]);
    const armed = { faults: "call.order.tryPay.before-send=throw", service: "saga" };
    expect(refusalOf(await system.api("/ops/faults", { as: "staff", body: armed })).status).toBe(403);
    expect(await post(system, "/ops/faults", armed)).toMatchObject({ status: 200, body: armed });
    const { body } = await pay(system, orderId);
    const paid = await transactionEnded(system, String(body?.transactionId));
    expect(paid).toMatchObject({ state: "CONFIRMED" });
    expect(await post(system, "/ops/faults", { faults: "" })).toMatchObject({ status: 200 });
    expect(system.output()).toContain("faults armed");
  });

  test("is told what cannot be, and needs a reason", async () => {
    const { system } = shared();
    const nobody = randomUUID();
    expect(refusalOf(await post(system, `/ops/sagas/${nobody}/retry`, { reason }))).toEqual({
      status: 404,
      code: "SAGA_NOT_FOUND",
    });
    expect(refusalOf(await post(system, `/ops/transactions/${nobody}/force-cancel`, { reason }))).toEqual({
      status: 404,
      code: "TRANSACTION_NOT_FOUND",
    });
    const wrong = [
      post(system, `/ops/sagas/${nobody}/retry`, {}),
      post(system, "/ops/dead-letters/redrive", { reason }),
      post(system, "/ops/dead-letters/redrive", { reason, letterIds: [nobody], source: "outbox" }),
      post(system, "/ops/dead-letters/redrive", { reason, letterIds: [nobody, nobody] }),
      system.api("/ops/sagas?state=ANY", { as: "operator" }),
      system.api("/ops/sagas?cursor=abc", { as: "operator" }),
    ];
    for (const answer of await Promise.all(wrong)) expect(answer.status).toBe(422);
    const unknown = await post(system, "/ops/dead-letters/redrive", { reason, letterIds: [nobody] });
    expect(unknown.body).toMatchObject({
      failed: [{ letterId: nobody, error: { code: "LETTER_NOT_FOUND" } }],
    });
    for (const as of ["customer", "staff", "service"] as const) {
      expect(refusalOf(await system.api("/ops/sagas", { as }))).toMatchObject({ status: 403 });
      expect(refusalOf(await system.api("/ops/audit", { as }))).toMatchObject({ status: 403 });
    }
  });

  test("sees lists page by page, newest first", async () => {
    const { system } = shared();
    const pages: string[][] = [];
    let path = "/ops/sagas?type=CREATE_ORDER&limit=3";
    for (let pageNumber = 0; pageNumber < 3; pageNumber += 1) {
      const { items, nextCursor } = await get<Page<SagaView>>(system, path);
      pages.push(items.map(({ sagaId }) => sagaId));
      path = `/ops/sagas?type=CREATE_ORDER&limit=3&cursor=${nextCursor}`;
    }
    const seen = pages.flat();
    expect(seen).toHaveLength(9);
    expect(seen).toEqual([...new Set(seen)].sort().reverse());
    const stuck = await get<Page<SagaView>>(system, "/ops/sagas?stuck=true");
    expect(stuck.items.every(({ state }) => state === "STUCK")).toBe(true);
  });

  test("sees who did what in all services as one list, page by page", async () => {
    const { system } = shared();
    const { productId } = await newProduct(system, 1);
    const adjust = (delta: number) =>
      system.api(`/products/${productId}/stock`, {
        method: "PUT",
        as: "staff",
        body: { delta, reason },
      });
    for (const delta of [1, 2, 3]) expect(await adjust(delta)).toMatchObject({ status: 200 });
    await revoke(system);
    const about = await get<Page<TrailEntry>>(system, `/ops/audit?targetId=${productId}&service=product`);
    // What it began with was counted too.
    expect(about.items.map(({ detail }) => detail.delta)).toEqual([3, 2, 1, 1]);
    const name = ({ service, sequence }: TrailEntry) => `${service} ${sequence}`;
    // The first page is of one service alone; what others write meanwhile is on none of the next ones.
    const seen: string[] = [];
    for (let cursor = ""; seen.length < 5; ) {
      const page = await get<Page<TrailEntry>>(system, `/ops/audit?limit=1${cursor && `&cursor=${cursor}`}`);
      seen.push(...page.items.map(name));
      cursor = page.nextCursor ?? "";
      expect(await adjust(1)).toMatchObject({ status: 200 });
      await revoke(system);
    }
    const after = (await get<Page<TrailEntry>>(system, "/ops/audit?limit=100")).items.map(name);
    expect(after.slice(after.indexOf(seen[0] ?? "")).slice(0, 5)).toEqual(seen);
    expect(new Set(seen.map((one) => one.split(" ")[0])).size).toBeGreaterThan(1);
    const [first] = about.items;
    const by = await get<Page<TrailEntry>>(
      system,
      `/ops/audit?actor=${first?.actor}&action=product&limit=50`,
    );
    expect(by.items.map(name)).toEqual(expect.arrayContaining(about.items.map(name)));
    expect(by.items.every(({ actor, action }) => actor === first?.actor && /^product\./.test(action))).toBe(
      true,
    );
    const cursor = Buffer.from("1.2").toString("base64url");
    expect(refusalOf(await system.api(`/ops/audit?cursor=${cursor}`, { as: "operator" }))).toEqual({
      status: 422,
      code: "CURSOR_INVALID",
    });
  });
}
