import { v7 as uuidv7 } from "uuid";
import { useServer } from "../support/service-database.ts";
import { until } from "../support/until.ts";
import { type OrderWorld, openOrders } from "./order.world.ts";
import { draftParams } from "./order-commands.world.ts";

/** Drafts that nobody will finish are ended; those of live sagas and young ones are left. */

const server = useServer();
let world: OrderWorld;

beforeAll(async () => {
  world = await openOrders(server, { STALE_DRAFT_POLL_MS: "100" });
}, 60_000);
afterAll(() => world.stop());

/** A draft that was asked for so long ago. */
async function draft(minutes: number, sagaId = uuidv7()) {
  const orderId = uuidv7({ msecs: Date.now() - minutes * 60_000 });
  await world.call("order.draft", { ...draftParams(orderId), sagaId });
  return orderId;
}

/** A saga of an order, of which only its state counts here. */
async function saga(state: "ENDED" | "LIVE") {
  const id = uuidv7();
  await world.sql(
    "saga",
    `insert into saga_instances (id, saga_type, state, attempt, version, published, business_key, owner_id,
       correlation_id, input, progress)
     select $1, saga_type, case when $2 then state else 'RUNNING' end, attempt, version, published, $1, owner_id,
       correlation_id, input, progress from saga_instances limit 1`,
    [id, state === "ENDED"],
  );
  return id;
}

const statusOf = async (orderId: string) => (await world.call("order.get", { orderId })).status;

test("an old draft is cancelled when its saga has ended or is not known, and else left", async () => {
  const done = await world.created();
  await until("its saga has ended", async () => {
    const { sagaId } = await world.call("order.get", { orderId: done });
    return (await world.call("saga.get", { sagaId })).state === "COMPLETED";
  });
  const live = await saga("LIVE");
  // In the order of their age: the walk goes on from where it was, and what comes behind it is not looked at again.
  const [waiting, ended, unknown, young] = [
    await draft(21, live),
    await draft(20, await saga("ENDED")),
    await draft(20),
    await draft(1),
  ];
  for (const orderId of [ended, unknown]) {
    expect(await world.has(orderId, "cancelled")).toEqual({
      path: ["draft", "cancelled"],
      reason: "CREATION_ABANDONED",
    });
  }
  // The older one was looked at before them.
  expect(await statusOf(waiting)).toBe("draft");
  expect(await statusOf(young)).toBe("draft");
  expect(await statusOf(done)).toBe("created");
  await world.sql("saga", "delete from saga_instances where id = $1", [live]);
  await world.has(waiting, "cancelled");
});
