import type { OrderStatus } from "../../lib/contracts.ts";
import { StateConflictError } from "../../lib/errors.ts";
import type { EventType } from "../../lib/events.ts";

/** The order aggregate: its legal moves as data. */

export type OrderCommand =
  | "confirm"
  | "startPaying"
  | "confirmPaid"
  | "abortPaying"
  | "ship"
  | "complete"
  | "requestCancellation"
  | "cancel"
  | "expire"
  | "abandon";

export type OrderEvent = Exclude<Extract<EventType, `ORDER_${string}`>, "ORDER_CREATED">;

export interface OrderMove {
  readonly from: readonly OrderStatus[];
  readonly to: OrderStatus;
  /** The event that tells of it; some moves are nobody else's business. */
  readonly event?: OrderEvent;
  /** What the audit trail calls it, where people do it by hand. */
  readonly trail?: string;
  /** Statuses that show that it was carried out before: repeating it is a no-op. */
  readonly past: readonly OrderStatus[];
}

const MOVES: Readonly<Record<OrderCommand, OrderMove>> = {
  confirm: {
    from: ["draft"],
    to: "created",
    event: "ORDER_CONFIRMED",
    past: ["created", "paying", "paid", "shipping", "completed", "cancelling"],
  },
  startPaying: { from: ["created"], to: "paying", past: [] },
  confirmPaid: { from: ["paying"], to: "paid", event: "ORDER_PAID", past: [] },
  abortPaying: { from: ["paying"], to: "created", past: [] },
  ship: { from: ["paid"], to: "shipping", past: ["shipping"], trail: "order.ship" },
  complete: {
    from: ["shipping"],
    to: "completed",
    event: "ORDER_COMPLETED",
    past: ["completed"],
    trail: "order.complete",
  },
  // A draft is not cancelled by this but by its saga, which then undoes it.
  requestCancellation: {
    from: ["created", "paid"],
    to: "cancelling",
    event: "ORDER_CANCELLATION_REQUESTED",
    past: ["cancelling"],
  },
  // From draft it is the undoing of a creation that failed; from cancelling the end of a cancellation.
  cancel: { from: ["draft", "cancelling"], to: "cancelled", event: "ORDER_CANCELLED", past: ["cancelled"] },
  // Nobody paid in time: its stock is for others again. A draft too: confirmed afterwards it would have no stock, so
  // that its saga, which an outage held up, is refused the confirmation and undoes what is left.
  expire: { from: ["draft", "created"], to: "cancelled", event: "ORDER_CANCELLED", past: ["cancelled"] },
  // A draft whose saga has ended, or never was.
  abandon: { from: ["draft"], to: "cancelled", event: "ORDER_CANCELLED", past: ["cancelled"] },
};

export function moveOf(command: OrderCommand): OrderMove {
  return MOVES[command];
}

/** Why a command did not move the order: undefined when it had been carried out before, else the conflict. */
export function conflictOf(
  command: OrderCommand,
  orderId: string,
  status: OrderStatus,
): StateConflictError | undefined {
  if (MOVES[command].past.includes(status)) return undefined;
  const message = `An order that is ${status} cannot take: ${command}.`;
  return new StateConflictError(message, "ORDER_STATE_CONFLICT", { orderId, status, command });
}

/** Sum of the lines in minor units. @throws RangeError beyond what JSON carries exactly */
export function totalOf(lines: readonly { quantity: number; priceMinor: number }[]): number {
  const total = lines.reduce((sum, line) => sum + line.quantity * line.priceMinor, 0);
  if (!Number.isSafeInteger(total)) throw new RangeError("the total is beyond the safe integers");
  return total;
}
