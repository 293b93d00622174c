import { randomUUID } from "node:crypto";
import { connect } from "node:net";
import { type Identity, tokenOf } from "../support/demo-tokens.ts";
import type { HttpAnswer } from "../support/http.ts";
import { orderIs, orderOf, refusalOf, settled, transactionEnded } from "../support/money.ts";
import { type Replica, startReplica } from "../support/replica.ts";
import { ended, placedOf } from "../support/shop.ts";
import type { ApiRequest, System } from "../support/system.ts";
import { until } from "../support/until.ts";
import type { Shared } from "../support/use-system.ts";
import { basket, card, newOrder, paidOrder, ROUTES, staff } from "./money-keys.routes.ts";

/** An Idempotency-Key, whatever it is sent with, and to whichever of two gateways on the same databases. */

const REUSED = { status: 422, code: "IDEMPOTENCY_KEY_REUSED" };
const IN_PROGRESS = { status: 409, code: "REQUEST_IN_PROGRESS" };
const isReplay = ({ headers }: HttpAnswer) => headers["idempotent-replayed"] === "true";
const answerOf = ({ status, text, headers }: HttpAnswer) => ({ status, text, location: headers.location });
export function keys(shared: () => Shared): void {
  let replica: Replica;
  beforeAll(async () => {
    replica = await startReplica(shared().system);
  }, 120_000);
  afterAll(() => replica.stop());

  /** Sends it until it is no more in progress. */
  const answered = (system: System, path: string, request: ApiRequest) =>
    until(`${path} is answered`, async () => {
      const answer = await system.api(path, request);
      return answer.status === 409 && answer.body?.code === IN_PROGRESS.code ? undefined : answer;
    });

  test.each(Object.entries(ROUTES))(
    "of one %s, sent ten times to two gateways, has one answer, and belongs to that request and that subject",
    async (_name, prepare) => {
      const { system } = shared();
      const { path, request, other, undo } = await prepare(system);
      const key = randomUUID();
      const answers = await Promise.all(
        Array.from({ length: 10 }, (_, index) =>
          answered(system, path, { ...request, key, ...(index % 2 === 1 && { at: replica.api }) }),
        ),
      );
      const [first] = answers;
      expect(first && first.status >= 200 && first.status < 300).toBe(true);
      expect(new Set(answers.map((answer) => JSON.stringify(answerOf(answer)))).size).toBe(1);
      expect(answers.filter((answer) => !isReplay(answer))).toHaveLength(1);

      const reused = await system.api(other.path, { ...request, ...other.request, key, at: replica.api });
      expect(refusalOf(reused)).toEqual(REUSED);
      // Somebody else with these rights: whatever they are told, it is nothing of this.
      const { tokens } = system.demo;
      const somebody = await tokenOf(system, {
        ...identityOf(tokens[request.as ?? "customer"]),
        sub: randomUUID(),
      });
      const theirs = await system.api(path, { ...request, key, authorization: `Bearer ${somebody}` });
      expect(isReplay(theirs)).toBe(false);
      expect(theirs.body?.code).not.toBe(REUSED.code);
      await atEnd(system, first);
      if (undo) expect((await system.api(undo.path, undo.request)).status).toBeLessThan(300);
    },
    60_000,
  );

  test("is one and the same whatever it was used for: an order's key neither pays nor ships", async () => {
    const { system } = shared();
    const key = randomUUID();
    const placed = await system.api("/orders", { as: "customer", key, body: basket(system) });
    const { orderId } = placedOf(placed);
    await ended(system, orderId);
    expect(refusalOf(await system.api(`/orders/${orderId}/pay`, { key, ...card("sim_ok") }))).toEqual(REUSED);
    expect(refusalOf(await system.api(`/orders/${orderId}/cancel`, { key, body: {} }))).toEqual(REUSED);
    const shipped = randomUUID();
    const paidId = await paidOrder(system);
    await system.api(`/orders/${paidId}/ship`, { ...staff, key: shipped });
    const mine = { as: "staff", key: shipped } as const;
    expect(refusalOf(await system.api(`/orders/${orderId}/cancel`, { ...mine, body: {} }))).toEqual(REUSED);
  });

  test("in hand elsewhere is told 409, or 422 to whoever means something else, and is taken over when its lease ends", async () => {
    const { system } = shared();
    const path = `/orders/${await paidOrder(system)}/ship`;
    const key = randomUUID();
    expect(await system.api(path, { ...staff, key })).toMatchObject({ status: 200 });
    const inHand = (seconds: number) =>
      system.sql(
        "saga",
        `update idempotency_records set status = 'PROCESSING', response_data = null,
           locked_until = now() + $2 * interval '1 second' where key = $1`,
        [key, seconds],
      );
    await inHand(30);
    const refused = await system.api(path, { ...staff, key });
    expect(refusalOf(refused)).toEqual(IN_PROGRESS);
    expect(Number(refused.headers["retry-after"])).toBeGreaterThan(20);
    const meant = `/orders/${randomUUID()}/ship`;
    expect(refusalOf(await system.api(meant, { ...staff, key }))).toEqual(REUSED);
    // An order that a dead process was working on: the same, for what commits at once.
    const placing = randomUUID();
    await system.api("/orders", { key: placing, body: basket(system) });
    await system.sql("saga", "update idempotency_records set status = 'PROCESSING' where key = $1", [
      placing,
    ]);
    expect(refusalOf(await system.api("/orders", { key: placing, body: basket(system) }))).toEqual(
      IN_PROGRESS,
    );
    const more = { ...basket(system), paymentMethod: "sim_ok" };
    expect(refusalOf(await system.api("/orders", { key: placing, body: more }))).toEqual(REUSED);
    await system.sql("saga", "update idempotency_records set status = 'COMPLETED' where key = $1", [placing]);

    await inHand(-1);
    expect(refusalOf(await system.api(meant, { ...staff, key }))).toEqual(REUSED);
    const again = await system.api(path, { ...staff, key });
    expect(again).toMatchObject({ status: 200, body: { status: "shipping" } });
    expect(isReplay(again)).toBe(false);
    expect(isReplay(await system.api(path, { ...staff, key }))).toBe(true);
  });

  test("of a request that was refused is free again", async () => {
    const { system } = shared();
    const orderId = await newOrder(system);
    const key = randomUUID();
    expect(refusalOf(await system.api(`/orders/${orderId}/ship`, { ...staff, key })).status).toBe(409);
    await settled(system, orderId);
    const shipped = await system.api(`/orders/${orderId}/ship`, { ...staff, key });
    expect(shipped).toMatchObject({ status: 200 });
    expect(isReplay(shipped)).toBe(false);
    for (const bad of ["", "a b", "k".repeat(256), ["one", "two"]])
      expect(refusalOf(await system.api(`/orders/${orderId}/complete`, { ...staff, key: bad }))).toEqual({
        status: 400,
        code: "IDEMPOTENCY_KEY_INVALID",
      });
    await orderIs(system, orderId, "shipping");
  });

  test("opens nothing to whoever may not ask any more", async () => {
    const { system } = shared();
    const key = randomUUID();
    const { sub } = identityOf(system.demo.tokens.customer);
    const orderId = await newOrder(system);
    const path = `/orders/${orderId}/pay`;
    const paying = await system.api(path, { key, ...card("sim_ok") });
    await transactionEnded(system, String(paying.body?.transactionId));
    const replay = async (identity: Identity) => {
      const authorization = `Bearer ${await tokenOf(system, identity)}`;
      return refusalOf(await system.api(path, { key, authorization, ...card("sim_ok") }));
    };
    expect(await replay({ sub, roles: ["customer"], expiresIn: -60 })).toMatchObject({ status: 401 });
    expect(await replay({ sub, roles: [] })).toMatchObject({ status: 403 });
    expect(await replay({ sub, roles: ["service"] })).toMatchObject({ status: 403 });
    expect(await replay({ sub, roles: ["customer"] })).toMatchObject({ status: 202 });
  });

  test("that has expired is new, and what has happened once does not happen again", async () => {
    const { system } = shared();
    const orderId = await newOrder(system);
    const key = randomUUID();
    const paying = await system.api(`/orders/${orderId}/pay`, { key, ...card("sim_ok") });
    await transactionEnded(system, String(paying.body?.transactionId));
    const expire = (expired: string) =>
      system.sql(
        "saga",
        "update idempotency_records set expires_at = now() - interval '1 second' where key = $1",
        [expired],
      );
    await expire(key);
    const again = await system.api(`/orders/${orderId}/pay`, { key, ...card("sim_ok") });
    expect(refusalOf(again)).toEqual({ status: 409, code: "ORDER_STATE_CONFLICT" });

    const ordering = randomUUID();
    const first = placedOf(await system.api("/orders", { key: ordering, body: basket(system) }));
    // The audit looks for the request that each order came of: it finds it under another name.
    await system.sql(
      "saga",
      `insert into idempotency_records
       select subject, key || '-before', operation, request_hash, status, attempt, locked_until, response_status,
              response_headers, response_data, created_at, completed_at, expires_at
       from idempotency_records where key = $1`,
      [ordering],
    );
    await expire(ordering);
    const placed = await system.api("/orders", { key: ordering, body: basket(system) });
    expect(placed).toMatchObject({ status: 202 });
    expect(isReplay(placed)).toBe(false);
    expect(placedOf(placed).orderId).not.toBe(first.orderId);
    for (const { orderId: one } of [first, placedOf(placed)]) await ended(system, one);
  });

  test("whose answer was lost after the commit gets that answer", async () => {
    const { system } = shared();
    const key = randomUUID();
    const body = JSON.stringify(basket(system));
    const socket = await sendOnly(system, "/orders", key, body);
    await until("it is committed", async () => (await recordsOf(system, key)) === 1);
    // Nobody has read a byte of the answer.
    socket.resetAndDestroy();
    const again = await system.api("/orders", { key, body: basket(system), at: replica.api });
    expect(again.status).toBe(202);
    expect(isReplay(again)).toBe(true);
    const { orderId, sagaId } = placedOf(again);
    await ended(system, orderId);
    expect(
      await system.sql("saga", "select id from saga_instances where business_key = $1", [orderId]),
    ).toEqual([{ id: sagaId }]);
  });

  test("is never worked on without its store, and is as new when that is back", async () => {
    const { system } = shared();
    const path = `/orders/${await paidOrder(system)}/ship`;
    const [ordering, shipping] = [randomUUID(), randomUUID()];
    const sagas = async () => (await system.sql("saga", "select 1 from saga_instances")).length;
    const before = await sagas();
    await closeDatabase(system, "oms_saga");
    try {
      const placed = await system.api("/orders", { key: ordering, body: basket(system) });
      expect(refusalOf(placed)).toEqual({ status: 503, code: "DATABASE_UNAVAILABLE" });
      expect(Number(placed.headers["retry-after"])).toBeGreaterThanOrEqual(1);
      const shipped = await system.api(path, { ...staff, key: shipping });
      expect(refusalOf(shipped)).toEqual({ status: 503, code: "DATABASE_UNAVAILABLE" });
    } finally {
      await openDatabase(system, "oms_saga");
    }
    const placed = await until("orders are taken again", async () => {
      const answer = await system.api("/orders", { key: ordering, body: basket(system) });
      return answer.status === 202 && answer;
    });
    expect(isReplay(placed)).toBe(false);
    const shipped = await system.api(path, { ...staff, key: shipping });
    expect(shipped).toMatchObject({ status: 200 });
    expect(isReplay(shipped)).toBe(false);
    await ended(system, placedOf(placed).orderId);
    expect(await sagas()).toBe(before + 1);
  });

  test("of a gateway that died before it could answer is answered by another one", async () => {
    const { system } = shared();
    const path = `/orders/${await paidOrder(system)}/ship`;
    const dying = await startReplica(system, {
      FAULT_POINTS: "call.saga.createOrder.after-reply=kill,call.order.ship.after-reply=kill",
    });
    const [ordering, shipping] = [randomUUID(), randomUUID()];
    const lost = await Promise.allSettled([
      system.api("/orders", { key: ordering, body: basket(system), at: dying.api }),
      system.api(path, { ...staff, key: shipping, at: dying.api }),
    ]);
    await dying.died();
    expect(lost.map(({ status }) => status)).toEqual(["rejected", "rejected"]);
    const placed = await answered(system, "/orders", { key: ordering, body: basket(system) });
    expect(placed.status).toBe(202);
    await ended(system, placedOf(placed).orderId);
    expect(await recordsOf(system, ordering)).toBe(1);
    // Told to wait for as long as the dead one might still be at it, then done: by it or by us, once.
    const shipped = await answered(system, path, { ...staff, key: shipping });
    expect(shipped).toMatchObject({ status: 200, body: { status: "shipping" } });
    const { timeline } = await orderOf(system, path.split("/")[2] ?? "");
    expect(timeline.filter(({ status }) => status === "shipping")).toHaveLength(1);
  }, 120_000);
}

/** Lets what was begun come to its end, so that the audit finds it at rest. */
async function atEnd(system: System, answer: HttpAnswer | undefined): Promise<void> {
  const { transactionId, orderId } = answer?.body ?? {};
  if (typeof transactionId === "string") await transactionEnded(system, transactionId);
  else if (answer?.status === 202 && typeof orderId === "string") await ended(system, orderId);
}

function identityOf(token: string): Identity {
  return JSON.parse(Buffer.from(token.split(".")[1] ?? "", "base64url").toString()) as Identity;
}

async function recordsOf(system: System, key: string): Promise<number> {
  return (await system.sql("saga", "select 1 from idempotency_records where key = $1", [key])).length;
}

/** Sends a request by a socket that reads nothing. */
async function sendOnly({ demo }: System, path: string, key: string, body: string) {
  const { hostname, port, pathname } = new URL(demo.api + path);
  const socket = connect(Number(port), hostname);
  socket.pause();
  const head = [
    `POST ${pathname} HTTP/1.1`,
    "Host: localhost",
    `Authorization: Bearer ${demo.tokens.customer}`,
    `Idempotency-Key: ${key}`,
    "Content-Type: application/json",
    `Content-Length: ${Buffer.byteLength(body)}`,
  ].join("\r\n");
  await new Promise<void>((resolve) => socket.write(`${head}\r\n\r\n${body}`, () => resolve()));
  return socket;
}

/** As if its server were away: nobody gets in, and whoever was in is out. */
async function closeDatabase({ sql }: System, name: string): Promise<void> {
  await sql("order", `alter database ${name} with allow_connections false`);
  await sql("order", "select pg_terminate_backend(pid) from pg_stat_activity where datname = $1", [name]);
}

async function openDatabase({ sql }: System, name: string): Promise<void> {
  await sql("order", `alter database ${name} with allow_connections true`);
}
