import { defineSaga } from "../../engine/define.ts";
import { createSagaProtocol } from "../../engine/saga.ts";
import type { Actions } from "../../lib/actions.ts";
import type { EventData } from "../../lib/events.ts";
import { eventsOfStart } from "../../services/saga/saga.store.ts";

/** A saga whose first step asks by an event tells it in the transaction that begins it. */
test("what a saga publishes as it starts is told, in its first version", () => {
  const definition = defineSaga<Actions, EventData>()<{ orderId: string }>("RESERVE_FIRST")
    .request("reserveStock", {
      publish: "RESERVE_STOCK",
      data: ({ sagaId, input }) => ({ orderId: input.orderId, sagaId, items: [] }),
      success: "STOCK_RESERVED",
      timeoutMs: 1_000,
      noCompensation: "a test",
    })
    .pivot("confirmOrder", "order.confirm", { params: ({ input }) => ({ orderId: input.orderId }) })
    .build();
  const about = { businessKey: "order", ownerId: "customer", correlationId: "correlation" };
  const started = createSagaProtocol([definition], 1_000).start(
    { id: "saga", type: "RESERVE_FIRST", input: { orderId: "order" }, ...about },
    new Date(0),
  );
  expect(eventsOfStart(started)).toMatchObject([
    { type: "RESERVE_STOCK", aggregateId: "saga", aggregateVersion: 1, correlationId: "correlation" },
  ]);
});
