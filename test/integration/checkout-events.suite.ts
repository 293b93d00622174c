import { randomUUID } from "node:crypto";
import { openStream } from "../support/event-stream.ts";
import { cancel, refusalOf } from "../support/money.ts";
import { order, placedOf } from "../support/shop.ts";
import type { System } from "../support/system.ts";
import { until } from "../support/until.ts";
import type { Shared } from "../support/use-system.ts";

/** Following an order by server-sent events, from outside. A move that nobody told of would be found after 30 s. */

const endsMsMax = 15_000;

function follow({ demo }: System, orderId: string, lastEventId?: string) {
  return openStream(`${demo.api}/orders/${orderId}/events`, {
    authorization: `Bearer ${demo.tokens.customer}`,
    accept: "text/event-stream",
    ...(lastEventId !== undefined && { "last-event-id": lastEventId }),
  });
}

const plenty = ({ demo }: System) => [{ productId: demo.products.plenty, quantity: 1 }];

export function events(shared: () => Shared): void {
  test("come as they happen, from the first to the last, and go on where a client left", async () => {
    const { system } = shared();
    const { orderId } = await order(system, plenty(system));
    const stream = await follow(system, orderId);
    expect(stream.headers).toMatchObject({
      "content-type": "text/event-stream; charset=utf-8",
      "cache-control": "no-store",
    });
    await expect(stream.statuses(2)).resolves.toEqual(["draft", "created"]);
    const waiting = await follow(system, orderId, "2");
    expect((await cancel(system, orderId)).status).toBe(202);
    await expect(stream.statuses(4)).resolves.toEqual(["draft", "created", "cancelling", "cancelled"]);
    await until("both have ended", () => stream.ended() && waiting.ended(), { timeoutMs: endsMsMax });
    expect(stream.events().map(({ id }) => id)).toEqual(["1", "2", "3", "4"]);
    expect(stream.events().at(-1)).toMatchObject({
      event: "status",
      data: { orderId, status: "cancelled", reason: { code: "CANCELLED_BY_CUSTOMER" } },
    });
    expect(waiting.events().map(({ id }) => id)).toEqual(["3", "4"]);

    const again = await follow(system, orderId, "3");
    await expect(again.statuses(1)).resolves.toEqual(["cancelled"]);
    await until("it has ended", () => again.ended());
    expect((await follow(system, orderId, "4")).status).toBe(204);
  });

  test("tell of an order that is refused, and of one that never came to a draft", async () => {
    const { system } = shared();
    const soldOut = await order(system, [{ productId: system.demo.products.soldOut, quantity: 1 }]);
    const refused = await follow(system, soldOut.orderId);
    await expect(refused.statuses(2)).resolves.toEqual(["draft", "cancelled"]);
    const answer = await system.api("/orders", {
      key: randomUUID(),
      body: { items: [{ productId: randomUUID(), quantity: 1 }] },
    });
    const { orderId } = placedOf(answer);
    const statuses = await until("it is told", async () => {
      const stream = await follow(system, orderId);
      await until("it has ended", () => stream.ended());
      const told = stream.events().map(({ data }) => data.status);
      return told.length > 0 && told;
    });
    expect(statuses).toEqual(["draft", "cancelled"]);
  });

  test("are for those who may see the order", async () => {
    const { system } = shared();
    const { orderId } = await order(system, plenty(system));
    const path = `/orders/${orderId}/events`;
    expect(refusalOf(await system.api(path, { as: "otherCustomer" }))).toEqual({
      status: 404,
      code: "ORDER_NOT_FOUND",
    });
    expect(await system.api(path, { as: "staff", endless: true })).toMatchObject({ status: 200 });
    const headers = { "last-event-id": "1; drop table" };
    expect(await system.api(path, { headers })).toMatchObject({
      status: 422,
      body: { code: "VALIDATION_FAILED", errors: [{ field: "Last-Event-ID" }] },
    });
  });
}
