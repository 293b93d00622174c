import type { OrderStatus } from "../../lib/contracts.ts";
import { StateConflictError } from "../../lib/errors.ts";

/** The order aggregate: its legal moves as data. */

export type OrderCommand =
  | "confirm"
  | "startPaying"
  | "confirmPaid"
  | "abortPaying"
  | "ship"
  | "complete"
  | "requestCancellation"
  | "cancel";

const MOVES: Readonly<
  Record<OrderCommand, { readonly from: readonly OrderStatus[]; readonly to: OrderStatus }>
> = {
  confirm: { from: ["draft"], to: "created" },
  startPaying: { from: ["created"], to: "paying" },
  confirmPaid: { from: ["paying"], to: "paid" },
  abortPaying: { from: ["paying"], to: "created" },
  ship: { from: ["paid"], to: "shipping" },
  complete: { from: ["shipping"], to: "completed" },
  requestCancellation: { from: ["draft", "created", "paid"], to: "cancelling" },
  // From draft it is the undoing of a creation that failed; from cancelling the end of a cancellation.
  cancel: { from: ["draft", "cancelling"], to: "cancelled" },
};

/** Where a command leads, and from which statuses it may. */
export function moveOf(command: OrderCommand): { from: readonly OrderStatus[]; to: OrderStatus } {
  return MOVES[command];
}

/** Statuses that an order can only have if the command has been carried out before: repeating it is a no-op. */
const PAST: Readonly<Partial<Record<OrderCommand, readonly OrderStatus[]>>> = {
  confirm: ["created", "paying", "paid", "shipping", "completed", "cancelling"],
  cancel: ["cancelled"],
  ship: ["shipping"],
  complete: ["completed"],
};

/** Why a command did not move the order: undefined when it had been carried out before, else the conflict. */
export function conflictOf(
  command: OrderCommand,
  orderId: string,
  status: OrderStatus,
): StateConflictError | undefined {
  if (PAST[command]?.includes(status)) return undefined;
  const message = `An order that is ${status} cannot take: ${command}.`;
  return new StateConflictError(message, "ORDER_STATE_CONFLICT", { orderId, status, command });
}

/** Sum of the lines in minor units. @throws RangeError beyond what JSON carries exactly */
export function totalOf(lines: readonly { quantity: number; priceMinor: number }[]): number {
  const total = lines.reduce((sum, line) => sum + line.quantity * line.priceMinor, 0);
  if (!Number.isSafeInteger(total)) throw new RangeError("the total is beyond the safe integers");
  return total;
}
