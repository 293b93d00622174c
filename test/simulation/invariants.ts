import type { Instance } from "../../engine/protocol.ts";
import type { SagaInstance } from "../../engine/saga-instance.ts";
import type { TccInstance, TccState } from "../../engine/tcc-instance.ts";
import type { TccOp } from "../../mixins/tcc-barrier.store.ts";
import { quantities } from "../../services/product/reservation.ts";
import type { ModelOrder, Orders } from "./participants/order.ts";
import type { Payments } from "./participants/payment.ts";
import type { Products } from "./participants/product.ts";
import type { ModelProvider } from "./participants/provider.ts";

/** What must hold after each step, and what must hold once nothing is left to happen. */

export interface Observed {
  readonly orders: Orders;
  readonly products: Products;
  readonly payments: Payments;
  readonly provider: ModelProvider;
}

const NEXT: Readonly<Partial<Record<TccState, readonly TccState[]>>> = {
  TRYING: ["TRYING", "CONFIRMING", "CANCELLING"],
  CONFIRMING: ["CONFIRMING", "CONFIRMED", "CANCELLING"],
  CANCELLING: ["CANCELLING", "CANCELLED"],
};

const HOLDING = ["RESERVED", "HELD", "CONFIRMED"];

export class Invariants {
  private readonly observed: Observed;
  /** What operations of each transaction had their effect. */
  private readonly effects = new Map<string, Set<TccOp>>();

  private readonly report: (violation: string) => void;

  /** @param report is told of what is broken; it must not throw, for participants answer errors as refusals */
  constructor(observed: Observed, report: (violation: string) => void) {
    this.observed = observed;
    this.report = report;
  }

  /** After each step. */
  check(): void {
    const { products, provider } = this.observed;
    for (const [id, { available, reserved, sold }] of products.stock) {
      this.must(
        available >= 0 && reserved >= 0 && sold >= 0,
        () => `stock of ${id}: ${available} available, ${reserved} reserved, ${sold} sold`,
      );
    }
    for (const [orderId, { captures, capturedMinor, refundedMinor }] of provider.paid) {
      this.must(captures <= 1, () => `${orderId} was charged ${captures} times`);
      this.must(refundedMinor <= capturedMinor, () => `${orderId} got more back than it paid`);
    }
  }

  onMove({ orderId, status }: ModelOrder): void {
    const paid = this.observed.provider.paid.get(orderId);
    if (status === "paid") this.must(paid?.captures === 1, () => `${orderId} is paid without a capture`);
    if (status !== "cancelled") return;
    const head = this.observed.products.heads.get(orderId);
    this.must(
      !head || !HOLDING.includes(head.status),
      () => `${orderId} is cancelled, its stock ${head?.status}`,
    );
    this.must(
      (paid?.capturedMinor ?? 0) === (paid?.refundedMinor ?? 0),
      () => `${orderId} is cancelled, and ${paid?.capturedMinor} were taken`,
    );
  }

  onTcc(branch: string, op: TccOp, gid: string): void {
    const effects = this.effects.get(gid) ?? new Set();
    this.effects.set(gid, effects.add(op));
    this.must(
      !(effects.has("confirm") && effects.has("cancel")),
      () => `${gid}: ${branch} takes ${op}, another participant the opposite`,
    );
  }

  onSaga(before: SagaInstance | undefined, after: SagaInstance): void {
    this.onVersion(before, after);
    if (before?.state === "COMPLETED" || before?.state === "COMPENSATED") {
      this.must(before.state === after.state, () => `${after.id} has ended, and goes on as ${after.state}`);
      return;
    }
    const order = this.observed.orders.orders.get(after.businessKey);
    if (after.type === "CREATE_ORDER" && after.state === "COMPENSATED") {
      this.must(
        !order || order.status === "cancelled",
        () => `${after.id} is undone, its order ${order?.status}`,
      );
    }
    if (after.type === "CREATE_ORDER" && after.state === "COMPLETED") {
      this.must(
        order?.history.includes("created") ?? false,
        () => `${after.id} is complete, its order not confirmed`,
      );
    }
    if (after.type === "CANCEL_ORDER" && after.state === "COMPLETED") {
      this.must(order?.status === "cancelled", () => `${after.id} is complete, its order ${order?.status}`);
    }
  }

  onTransaction(before: TccInstance | undefined, after: TccInstance): void {
    this.onVersion(before, after);
    if (before) {
      const legal = NEXT[before.state]?.includes(after.state) ?? false;
      this.must(legal, () => `${after.id} goes from ${before.state} to ${after.state}`);
    }
    const effects = this.effects.get(after.id);
    if (after.state === "CONFIRMED") {
      const paid = this.observed.provider.paid.get(after.businessKey);
      this.must(paid?.captures === 1, () => `${after.id} is confirmed without a capture`);
    }
    if (after.state === "CANCELLING" || after.state === "CANCELLED") {
      this.must(
        !effects?.has("confirm"),
        () => `${after.id} is ${after.state}, and has been confirmed somewhere`,
      );
    }
  }

  /** Once everything has come to rest. */
  atRest(): void {
    const { orders, products, payments } = this.observed;
    for (const order of orders.orders.values()) this.orderAtRest(order);
    for (const { gid, held, status, intent } of payments.payments.values()) {
      const isOpen = held && status !== "failed" && intent !== "capture";
      this.must(!isOpen, () => `the payment of ${gid} is ${status}, and still held`);
      const holds = this.observed.provider.holds(`payment ${gid}`);
      this.must(!holds, () => `the provider still holds the payment of ${gid}, which is ${status}`);
    }
    const reserved = new Map<string, number>();
    for (const { status, lines } of products.heads.values()) {
      this.must(status !== "HELD", () => "stock is held by a transaction that has ended");
      if (status !== "RESERVED") continue;
      for (const [id, quantity] of quantities(lines)) reserved.set(id, (reserved.get(id) ?? 0) + quantity);
    }
    for (const [id, stock] of products.stock) {
      this.must(
        stock.reserved === (reserved.get(id) ?? 0),
        () => `${stock.reserved} of ${id} are reserved for nobody`,
      );
    }
  }

  private orderAtRest({ orderId, status }: ModelOrder): void {
    const head = this.observed.products.heads.get(orderId)?.status;
    const paid = this.observed.provider.paid.get(orderId);
    const captured = (paid?.capturedMinor ?? 0) - (paid?.refundedMinor ?? 0);
    const found = () => `${orderId} is ${status}, its stock ${head}, ${captured} captured`;
    if (status === "created") this.must(head === "RESERVED" && captured === 0, found);
    else if (status === "paid") this.must(head === "CONFIRMED" && captured > 0, found);
    else this.must(status === "cancelled" && captured === 0 && !HOLDING.includes(head ?? ""), found);
  }

  private onVersion(before: Instance | undefined, after: Instance): void {
    const expected = before ? before.version + 1 : 1;
    this.must(
      after.version === expected,
      () => `${after.id} goes to version ${after.version} from ${expected - 1}`,
    );
  }

  private must(holds: boolean, broken: () => string): void {
    if (!holds) this.report(broken());
  }
}
