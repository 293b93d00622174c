import type { OperatorAction } from "../../engine/protocol.ts";
import type { CancelOrderInput } from "../../services/saga/cancel-order.saga.ts";
import type { CreateOrderInput } from "../../services/saga/create-order.saga.ts";
import type { PayOrderInput } from "../../services/saga/pay-order.tcc.ts";
import type { Node } from "./node.ts";
import type { ModelOrder } from "./participants/order.ts";
import type { World } from "./world.ts";

/** What customers and operators ask, as the gateway would pass it on: each request again until it is answered. */

const ORDERS_MAX = 2;
const PATIENCE_MS = 3_000;
const RETRY_MS = 400;
const TRIES_MAX = 6;

type Asked = "done" | "not now";

export class Clients {
  private readonly world: World;
  private waiting = 0;

  constructor(world: World) {
    this.world = world;
    const random = world.scheduler.random.at("clients");
    const orders = random.between(1, ORDERS_MAX);
    for (let number = 1; number <= orders; number += 1) {
      const orderId = `order ${number}`;
      const second = random.chance(0.3) ? [{ productId: "p2", quantity: random.between(1, 2) }] : [];
      const items = [{ productId: "p1", quantity: random.between(1, 2) }, ...second];
      const beginMs = random.between(0, 200);
      this.ask(beginMs, (node) => this.create(node, { orderId, customerId: `customer ${number}`, items }));
      const drawMs = () =>
        beginMs + (random.chance(0.7) ? random.between(20, 400) : random.between(1, 8_000));
      const payments = random.chance(0.7) ? random.between(1, 2) : 0;
      const payingMs: number[] = [];
      for (let nth = 1; nth <= payments; nth += 1) {
        const atMs = drawMs();
        payingMs.push(atMs);
        const method = random.chance(0.7) ? "ok" : random.chance(0.5) ? "declined" : "capture_declined";
        this.ask(atMs, (node) => this.pay(node, orderId, nth, method));
      }
      const cancellations = random.chance(0.5) ? random.between(1, 2) : 0;
      for (let nth = 1; nth <= cancellations; nth += 1) {
        // Whoever pays and cancels at once is the most interesting.
        const [paidMs] = random.chance(0.6) ? payingMs : [];
        const atMs = paidMs === undefined ? drawMs() : Math.max(0, paidMs + random.between(-40, 40));
        this.ask(atMs, (node) => this.cancel(node, orderId, nth));
      }
      if (random.chance(0.15)) {
        const action: OperatorAction = random.chance(0.7) ? "retry" : "compensate";
        this.ask(drawMs(), (node) => this.operate(node, orderId, action));
      }
    }
  }

  get areDone(): boolean {
    return this.waiting === 0;
  }

  /** At any node; one that does not answer in time is given up, and another one asked the same. */
  private ask(delayMs: number, request: (node: Node) => Promise<Asked>, tries = 1): void {
    const { scheduler } = this.world;
    this.waiting += 1;
    scheduler.post("a client asks", delayMs, () => {
      let open = true;
      const settle = (outcome: Asked | "unanswered") => {
        if (!open) return;
        open = false;
        this.waiting -= 1;
        // What is not possible now may be later, and is not asked for ever; what was not answered must be known.
        if (outcome === "unanswered") this.ask(RETRY_MS, request, tries);
        else if (outcome === "not now" && tries < TRIES_MAX) this.ask(RETRY_MS * tries, request, tries + 1);
      };
      const node = this.world.anyNode("nodes asked");
      if (!node) return settle("unanswered");
      const perform = () => request(node).then(settle, () => settle("unanswered"));
      scheduler.post("request", scheduler.latency("client requests"), perform, node.process);
      scheduler.post("a client's patience ends", PATIENCE_MS, () => settle("unanswered"));
    });
  }

  private async create({ sagas, process }: Node, input: CreateOrderInput): Promise<Asked> {
    const { protocol } = this.world;
    const about = { businessKey: input.orderId, ownerId: input.customerId, correlationId: "c" };
    const id = `create ${input.orderId}`;
    await sagas.accept(protocol.start({ id, type: "CREATE_ORDER", input, ...about }, this.clockOf(process)));
    return "done";
  }

  private async pay(
    { transactions, process }: Node,
    orderId: string,
    nth: number,
    method: string,
  ): Promise<Asked> {
    const { tccProtocol } = this.world;
    const id = `pay ${nth} of ${orderId}`;
    const order = await this.read(process, orderId);
    if (this.world.transactions.rows.has(id)) return "done";
    if (order?.status !== "created") return "not now";
    const input: PayOrderInput = {
      orderId,
      customerId: "customer",
      amountMinor: order.totalMinor,
      currency: "EUR",
      paymentMethod: method,
    };
    const about = { businessKey: orderId, ownerId: "customer", correlationId: "c" };
    await transactions.accept(
      tccProtocol.start({ id, type: "PAY_ORDER", input, ...about }, this.clockOf(process)),
    );
    return "done";
  }

  private async cancel({ sagas, process }: Node, orderId: string, nth: number): Promise<Asked> {
    const { protocol } = this.world;
    const order = await this.read(process, orderId);
    const reason = { code: "CANCELLED_BY_CUSTOMER", message: "" };
    if (!order || order.status === "draft") {
      const turned = await sagas.engine.offer(
        `create ${orderId}`,
        { kind: "cancel", ...reason },
        () => undefined,
      );
      return turned ? "done" : "not now";
    }
    if (order.status !== "created" && order.status !== "paid") return "not now";
    const known = [...this.world.sagas.rows.values()].map(({ instance }) => instance);
    const isUnderWay = known.some(
      (saga) => saga.type === "CANCEL_ORDER" && saga.businessKey === orderId && !protocol.hasEnded(saga),
    );
    if (isUnderWay) return "not now";
    const input: CancelOrderInput = { orderId, reason, actor: "customer" };
    const about = { businessKey: orderId, ownerId: "customer", correlationId: "c" };
    const id = `cancel ${nth} of ${orderId}`;
    await sagas.accept(protocol.start({ id, type: "CANCEL_ORDER", input, ...about }, this.clockOf(process)));
    return "done";
  }

  private async operate(
    { sagas, transactions }: Node,
    orderId: string,
    action: OperatorAction,
  ): Promise<Asked> {
    const input = { kind: "operator" as const, action };
    await sagas.engine.offer(`create ${orderId}`, input, () => undefined);
    await transactions.engine.offer(`pay 1 of ${orderId}`, input, () => undefined);
    return "done";
  }

  /** The order as it was when it was looked at; what is asked for may come when it is another. */
  private read(process: Node["process"], orderId: string): Promise<ModelOrder | undefined> {
    const { scheduler, orders } = this.world;
    const order = orders.orders.get(orderId);
    const seen = order && { ...order };
    return new Promise((resolve) => {
      scheduler.post("order.get answers", scheduler.latency("reads"), () => resolve(seen), process);
    });
  }

  private clockOf({ skewMs }: Node["process"]): Date {
    return new Date(this.world.scheduler.nowMs + skewMs);
  }
}
