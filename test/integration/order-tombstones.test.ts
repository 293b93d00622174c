import { randomUUID } from "node:crypto";
import { withTransaction } from "../../lib/database.ts";
import { cancelOrders } from "../../services/order/order.commands.ts";
import { draftOrders } from "../../services/order/order.drafts.ts";
import { insertDrafts } from "../../services/order/order.store.ts";
import { useServer } from "../support/service-database.ts";
import { until } from "../support/until.ts";
import { draftParams, openCommands } from "./order-commands.world.ts";

/** A cancellation that comes before its draft holds: whatever comes late, nothing of the order is left to be done. */

const server = useServer();

async function openOrders() {
  const world = await openCommands(server);
  const reason = { code: "OUT_OF_STOCK", message: "" };
  return {
    ...world,
    draft: (...orderIds: readonly string[]) =>
      draftOrders(
        world.context,
        orderIds.map((orderId) => ({ params: draftParams(orderId), correlationId: "test" })),
      ),
    cancel: (...orderIds: readonly string[]) =>
      cancelOrders(
        world.context,
        orderIds.map((orderId) => ({ params: { orderId, reason, actor: "saga" }, correlationId: "test" })),
      ),
  };
}

const cancelled = (orderId: string) => ({ orderId, status: "cancelled" });
const CONFLICT = { type: "ORDER_STATE_CONFLICT", data: { status: "cancelled" } };

test("a draft that comes after its cancellation is refused, and leaves nothing", async () => {
  const { draft, cancel, of } = await openOrders();
  const [early, late] = [randomUUID(), randomUUID()];
  await draft(early);
  expect(await cancel(late, early)).toEqual([cancelled(late), cancelled(early)]);
  expect(await cancel(late)).toEqual([cancelled(late)]);
  const other = randomUUID();
  const [refused, taken] = await draft(late, other);
  expect(refused).toMatchObject(CONFLICT);
  expect(taken).toEqual({ orderId: other, totalMinor: 200 });
  expect(await of(late)).toEqual({ status: undefined, told: 0 });
  expect(await of(early)).toEqual({ status: "cancelled", reason: "OUT_OF_STOCK", told: 1 });
});

test("a cancellation waits for drafts that are on their way, and ends them", async () => {
  const { draft, cancel, of, database } = await openOrders();
  const orderId = randomUUID();
  let cancelling: Promise<unknown> | undefined;
  await withTransaction(database, async (tx) => {
    await insertDrafts(tx, [draftParams(orderId)]);
    cancelling = cancel(orderId);
    // It has looked for the order by then, in vain.
    await until("the cancellation waits", async () => {
      const { rowCount } = await database.pool.query(
        "select from pg_locks where locktype = 'advisory' and not granted",
      );
      return rowCount !== 0;
    });
  });
  expect(await cancelling).toEqual([cancelled(orderId)]);
  expect(await of(orderId)).toMatchObject({ status: "cancelled", told: 1 });
  expect((await draft(orderId))[0]).toMatchObject(CONFLICT);
});

test("of a hundred orders that are drafted and cancelled at once, none is left a draft", async () => {
  const { draft, cancel, database } = await openOrders();
  const orderIds = Array.from({ length: 100 }, () => randomUUID());
  await Promise.all(
    orderIds.flatMap((orderId, index) =>
      index % 2 === 0 ? [draft(orderId), cancel(orderId)] : [cancel(orderId), draft(orderId)],
    ),
  );
  const { rows } = await database.pool.query("select id from orders where status <> 'cancelled'");
  expect(rows).toEqual([]);
});
