import type { OrderMove, OrderView } from "../../lib/contracts.ts";
import { factsOf, InvalidInputError } from "../../lib/errors.ts";
import { FINAL } from "./event-streams.ts";
import { type ApiRequest, type Call, idIn, type Reply, viewerOf } from "./request.ts";

/** GET /orders/:orderId/events: what has become of an order and becomes of it, to its end. */
export async function followOrder(request: ApiRequest, call: Call): Promise<Reply> {
  const orderId = idIn(request, "orderId", "order");
  const after = lastKnown(request.headers["last-event-id"]);
  const viewer = viewerOf(request.principal);
  const { subject } = request.principal;
  const drafted = await call("order.status", { orderId, ...viewer }).then(() => true, ifNotFound(false));
  if (!drafted) {
    const view = await call("saga.order", { orderId, ...viewer });
    return followed({ orderId, subject, moves: movesOf(view, after), after, drafted: false });
  }
  const { moves } = await call("order.moves", { orders: [{ orderId, after }] });
  if (moves.length > 0 || after === 0) return followed({ orderId, subject, moves, after, drafted });
  // It may be at its end, and all of it told: then there is nothing to wait for.
  const { status } = await call("order.status", { orderId, ...viewer });
  return FINAL.has(status) ? NOTHING_MORE : followed({ orderId, subject, moves, after, drafted });
}

/** A client of server-sent events that gets this does not come again. */
const NOTHING_MORE: Reply = { status: 204, body: undefined };

const followed = (follow: NonNullable<Reply["follow"]>): Reply => ({ status: 200, body: undefined, follow });

/** What its saga knows of an order that has no draft: that it is on its way, or that it ended before it had one. */
function movesOf({ orderId, timeline }: OrderView, after: number): OrderMove[] {
  const moves = timeline.map((entry, index) => ({ orderId, version: index + 1, ...entry }));
  return FINAL.has(moves.at(-1)?.status ?? "") ? moves.filter(({ version }) => version > after) : [];
}

function ifNotFound<Value>(value: Value): (error: unknown) => Value {
  return (error) => {
    if (factsOf(error).type !== "ORDER_NOT_FOUND") throw error;
    return value;
  };
}

/** @throws InvalidInputError */
function lastKnown(header: string | readonly string[] | undefined): number {
  if (header === undefined || header === "") return 0;
  if (typeof header === "string" && /^\d{1,6}$/.test(header)) return Number(header);
  throw new InvalidInputError([
    { field: "Last-Event-ID", message: "This is not the id of an event of ours." },
  ]);
}
