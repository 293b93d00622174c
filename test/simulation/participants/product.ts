import { StateConflictError } from "../../../lib/errors.ts";
import type { EventData, Line } from "../../../lib/events.ts";
import type { TccOp } from "../../../mixins/tcc-barrier.store.ts";
import type { TccRequest } from "../../../mixins/tcc-participant.mixin.ts";
import { allocate, quantities } from "../../../services/product/reservation.ts";
import type { BusEvent } from "../model-bus.ts";
import type { Scheduler } from "../scheduler.ts";
import { type Branch, createBranch } from "./barrier.ts";

/** The product service by its contract: reservations, holds, expiry. */

type HeadStatus = "RESERVED" | "REFUSED" | "RELEASED" | "HELD" | "CONFIRMED" | "EXPIRED";

export interface Head {
  readonly orderId: string;
  status: HeadStatus;
  lines: readonly Line[];
  heldBy: string | null;
  expiresAtMs: number;
  releaseAsked: BusEvent | null;
  told: number;
}

export interface Stock {
  available: number;
  reserved: number;
  sold: number;
}

export interface ProductOptions {
  readonly stock: ReadonlyMap<string, number>;
  readonly ttlMs: number;
  readonly barrierIsOff: boolean;
  /** Mutation: what is held is released all the same. */
  readonly releasesHeld: boolean;
  readonly tell: (events: readonly BusEvent[]) => void;
  readonly onTcc: (op: TccOp, gid: string) => void;
}

type HoldRequest = TccRequest & { readonly orderId: string };
type Asked = {
  readonly orderId: string;
  readonly sagaId?: string;
  readonly items: readonly Line[];
  readonly reason?: string;
};

const GRACE_MS = 120_000;

export class Products {
  readonly heads = new Map<string, Head>();
  readonly stock: ReadonlyMap<string, Stock>;
  private readonly inbox = new Set<string>();
  private readonly branch: Branch<HoldRequest>;
  private readonly scheduler: Scheduler;
  private readonly options: ProductOptions;

  constructor(scheduler: Scheduler, options: ProductOptions) {
    this.scheduler = scheduler;
    this.options = options;
    this.branch = createBranch("product", options.barrierIsOff);
    this.stock = new Map(
      [...options.stock].map(([id, available]) => [id, { available, reserved: 0, sold: 0 }]),
    );
  }

  async receive(events: readonly BusEvent[]): Promise<void> {
    for (const event of events) {
      if (this.inbox.has(event.eventId)) continue;
      this.inbox.add(event.eventId);
      if (event.type === "RESERVE_STOCK") this.reserve(event.data as Asked);
      if (event.type === "RELEASE_STOCK") this.release(event);
    }
  }

  hold(op: TccOp, request: HoldRequest) {
    const { gid, orderId } = request;
    const status = { try: "HELD", confirm: "CONFIRMED", cancel: "CANCELLED" }[op];
    const run = () => {
      const refusal = op === "try" ? this.take(request) : this.finish(op, request);
      if (refusal) return refusal;
      this.options.onTcc(op, gid);
      return { orderId, status };
    };
    return this.branch.pass(op, request, run, { orderId, status });
  }

  private reserve({ orderId, sagaId, items }: Asked): void {
    const known = this.heads.get(orderId);
    if (known) {
      this.retell(known, sagaId, items);
      return;
    }
    const available = new Map([...this.stock].map(([id, { available: left }]) => [id, left]));
    const { taken, refused } = allocate(available, [{ orderId, items }]);
    const [refusal] = refused;
    const status = refusal ? "REFUSED" : "RESERVED";
    const expiresAtMs = this.scheduler.nowMs + this.options.ttlMs;
    const head: Head = {
      orderId,
      status,
      lines: items,
      heldBy: null,
      expiresAtMs,
      releaseAsked: null,
      told: 0,
    };
    this.heads.set(orderId, head);
    if (refusal) {
      const { productId, code: reason, available: left, requested } = refusal.shortage;
      this.tell(head, "STOCK_RESERVATION_FAILED", {
        orderId,
        sagaId,
        productId,
        reason,
        available: left,
        requested,
      });
      return;
    }
    for (const [id, quantity] of taken) this.move(id, quantity, "available", "reserved");
    this.expireLater(head);
    this.tell(head, "STOCK_RESERVED", { orderId, sagaId, items, expiresAt: "" });
  }

  private retell(head: Head, sagaId: string | undefined, items: readonly Line[]): void {
    const { orderId, status } = head;
    if (status === "RESERVED" || status === "HELD" || status === "CONFIRMED") {
      this.tell(head, "STOCK_RESERVED", { orderId, sagaId, items, expiresAt: "" });
      return;
    }
    const reason = status === "REFUSED" ? "OUT_OF_STOCK" : status;
    this.tell(head, "STOCK_RESERVATION_FAILED", {
      orderId,
      sagaId,
      productId: "",
      reason,
      available: 0,
      requested: 0,
    });
  }

  private release(event: BusEvent): void {
    const { orderId, sagaId, reason = "" } = event.data as Asked;
    let head = this.heads.get(orderId);
    if (head?.status === "HELD" && !this.options.releasesHeld) {
      head.releaseAsked = event;
      return;
    }
    const from = head?.status === "CONFIRMED" ? "sold" : "reserved";
    const gives = head !== undefined && ["RESERVED", "HELD", "CONFIRMED"].includes(head.status);
    const items = gives ? (head?.lines ?? []) : [];
    for (const [id, quantity] of quantities(items)) this.move(id, quantity, from, "available");
    head ??= {
      orderId,
      status: "RELEASED",
      lines: [],
      heldBy: null,
      expiresAtMs: 0,
      releaseAsked: null,
      told: 0,
    };
    this.heads.set(orderId, head);
    if (head.status !== "EXPIRED") head.status = "RELEASED";
    this.tell(head, "STOCK_RELEASED", { orderId, sagaId, items, reason });
  }

  private take({ gid, orderId }: HoldRequest): Error | undefined {
    const head = this.heads.get(orderId);
    if (head?.status !== "RESERVED") {
      return new StateConflictError("There is no reservation to hold.", "STOCK_NOT_RESERVED");
    }
    head.status = "HELD";
    head.heldBy = gid;
    return undefined;
  }

  private finish(op: "confirm" | "cancel", { gid, orderId }: HoldRequest): Error | undefined {
    const head = this.heads.get(orderId);
    if (head?.status !== "HELD" || head.heldBy !== gid) {
      return new StateConflictError("It is held by another transaction.", "STOCK_HELD");
    }
    head.heldBy = null;
    const { releaseAsked } = head;
    head.releaseAsked = null;
    if (op === "confirm") {
      head.status = "CONFIRMED";
      for (const [id, quantity] of quantities(head.lines)) this.move(id, quantity, "reserved", "sold");
    } else {
      head.status = "RESERVED";
      head.expiresAtMs = Math.max(head.expiresAtMs, this.scheduler.nowMs + GRACE_MS);
      this.expireLater(head);
    }
    if (releaseAsked) this.release(releaseAsked);
    return undefined;
  }

  private expireLater(head: Head): void {
    this.scheduler.post("reservation expiry", head.expiresAtMs - this.scheduler.nowMs, () => {
      if (head.status !== "RESERVED" || head.expiresAtMs > this.scheduler.nowMs) return;
      head.status = "EXPIRED";
      for (const [id, quantity] of quantities(head.lines)) this.move(id, quantity, "reserved", "available");
      const { orderId, lines: items } = head;
      this.tell(head, "STOCK_RELEASED", { orderId, items, reason: "RESERVATION_EXPIRED" });
    });
  }

  private move(id: string, quantity: number, from: keyof Stock, to: keyof Stock): void {
    const stock = this.stock.get(id);
    if (!stock) return;
    stock[from] -= quantity;
    stock[to] += quantity;
  }

  private tell<Type extends keyof EventData>(head: Head, type: Type, data: EventData[Type]): void {
    head.told += 1;
    this.options.tell([
      { eventId: `stock ${head.orderId} ${head.told}`, aggregateId: head.orderId, type, data },
    ]);
  }
}
