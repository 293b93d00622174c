import type { Actions } from "../../../lib/actions.ts";
import type { OrderStatus } from "../../../lib/contracts.ts";
import { NotFoundError, StateConflictError } from "../../../lib/errors.ts";
import type { TccOp } from "../../../mixins/tcc-barrier.store.ts";
import type { TccRequest } from "../../../mixins/tcc-participant.mixin.ts";
import { conflictOf, moveOf, type OrderCommand } from "../../../services/order/order.ts";
import type { BusEvent } from "../model-bus.ts";
import { type Branch, createBranch } from "./barrier.ts";

/** The order service by its contract: the aggregate's own moves, tombstones, and what expiry does. */

export interface ModelOrder {
  readonly orderId: string;
  readonly sagaId: string;
  readonly items: Actions["order.draft"]["params"]["items"];
  readonly totalMinor: number;
  status: OrderStatus;
  readonly history: OrderStatus[];
  stockExpired: boolean;
}

export interface OrderHooks {
  readonly onMove: (order: ModelOrder, command: OrderCommand) => void;
  /** An operation of a transaction has had its effect. */
  readonly onTcc: (op: TccOp, gid: string) => void;
}

type PayRequest = TccRequest & { readonly orderId: string };
const COMMANDS = { try: "startPaying", confirm: "confirmPaid", cancel: "abortPaying" } as const;

export class Orders {
  readonly orders = new Map<string, ModelOrder>();
  private readonly tombstones = new Set<string>();
  private readonly refused = new Map<string, Error>();
  private readonly forgetsRefusals: boolean;
  private readonly inbox = new Set<string>();
  private readonly branch: Branch<PayRequest>;
  private readonly hooks: OrderHooks;

  constructor(hooks: OrderHooks, barrierIsOff: boolean, forgetsRefusals: boolean) {
    this.hooks = hooks;
    this.forgetsRefusals = forgetsRefusals;
    this.branch = createBranch("order", barrierIsOff);
  }

  draft({ orderId, sagaId, items, totalMinor }: Actions["order.draft"]["params"]) {
    const known = this.orders.get(orderId);
    if (known?.status === "cancelled" || (!known && this.tombstones.has(orderId))) {
      throw new StateConflictError("The order has been cancelled.", "ORDER_STATE_CONFLICT");
    }
    if (!known) {
      const start = { status: "draft" as const, history: ["draft" as const], stockExpired: false };
      this.orders.set(orderId, { orderId, sagaId, items, totalMinor, ...start });
    }
    return { orderId, totalMinor };
  }

  confirm = ({ orderId }: { orderId: string }) => this.carryOut(orderId, "confirm");

  cancel({ orderId }: { orderId: string }) {
    if (this.orders.has(orderId)) return this.carryOut(orderId, "cancel");
    this.tombstones.add(orderId);
    return { orderId, status: "cancelled" as const };
  }

  requestCancellation({ orderId, sagaId }: { orderId: string; sagaId: string }) {
    const refused = this.forgetsRefusals ? undefined : this.refused.get(sagaId);
    if (refused) throw refused;
    const order = this.known(orderId);
    try {
      this.carryOut(orderId, "requestCancellation");
    } catch (error) {
      this.refused.set(sagaId, error as Error);
      throw error;
    }
    const items = order.items.map(({ productId, quantity }) => ({ productId, quantity }));
    return { orderId, before: order.history.at(-2), items };
  }

  pay(op: TccOp, request: PayRequest) {
    const { gid, orderId } = request;
    const run = () => {
      try {
        const moved = this.carryOut(orderId, COMMANDS[op]);
        this.hooks.onTcc(op, gid);
        if (op !== "cancel" || !this.known(orderId).stockExpired) return moved;
        return this.carryOut(orderId, "expire");
      } catch (error) {
        return error as Error;
      }
    };
    const status: OrderStatus = "created";
    return this.branch.pass<{ orderId: string; status: OrderStatus }>(op, request, run, { orderId, status });
  }

  /** STOCK_RELEASED because nobody paid in time. */
  async receive(events: readonly BusEvent[]): Promise<void> {
    for (const { eventId, type, data } of events) {
      const { orderId, reason } = data as { orderId: string; reason?: string };
      if (type !== "STOCK_RELEASED" || reason !== "RESERVATION_EXPIRED" || this.inbox.has(eventId)) continue;
      this.inbox.add(eventId);
      const order = this.orders.get(orderId);
      if (!order) continue;
      if (["draft", "created", "paying"].includes(order.status)) order.stockExpired = true;
      if (moveOf("expire").from.includes(order.status)) this.carryOut(orderId, "expire");
    }
  }

  private known(orderId: string): ModelOrder {
    const order = this.orders.get(orderId);
    if (!order) throw new NotFoundError("order", orderId);
    return order;
  }

  private carryOut(orderId: string, command: OrderCommand): { orderId: string; status: OrderStatus } {
    const order = this.known(orderId);
    const { from, to } = moveOf(command);
    if (!from.includes(order.status)) {
      const conflict = conflictOf(command, orderId, order.status);
      if (conflict) throw conflict;
      return { orderId, status: order.status };
    }
    order.status = to;
    order.history.push(to);
    this.hooks.onMove(order, command);
    return { orderId, status: to };
  }
}
