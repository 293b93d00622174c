import type { CallEffect, Reply } from "../../engine/protocol.ts";
import { factsOf, NotFoundError, RuleViolationError } from "../../lib/errors.ts";
import type { Line } from "../../lib/events.ts";
import type { Orders } from "./participants/order.ts";
import type { Payments } from "./participants/payment.ts";
import type { Products } from "./participants/product.ts";
import type { Process, Scheduler } from "./scheduler.ts";

export interface Participants {
  readonly orders: Orders;
  readonly products: Products;
  readonly payments: Payments;
  readonly inactive: ReadonlySet<string>;
}

type Handlers = Readonly<Record<string, (params: never) => unknown>>;

const PRICE_MINOR = 100;

function handlersOf({ orders, products, payments, inactive }: Participants): Handlers {
  return {
    "product.quote": ({ items }: { items: readonly Line[] }) => {
      const priced = items.map((item) => {
        if (!products.stock.has(item.productId)) throw new NotFoundError("product", item.productId);
        return { ...item, sku: item.productId, priceMinor: PRICE_MINOR };
      });
      const totalMinor = items.reduce((sum, { quantity }) => sum + quantity * PRICE_MINOR, 0);
      return { items: priced, totalMinor, currency: "EUR" };
    },
    "customer.validate": ({ customerId }: { customerId: string }) => {
      if (!inactive.has(customerId)) return { customerId };
      throw new RuleViolationError("The customer is not active.", "CUSTOMER_INACTIVE");
    },
    "order.draft": (params: never) => orders.draft(params),
    "order.confirm": (params: never) => orders.confirm(params),
    "order.cancel": (params: never) => orders.cancel(params),
    "order.requestCancellation": (params: never) => orders.requestCancellation(params),
    "order.tryPay": (params: never) => orders.pay("try", params),
    "order.confirmPay": (params: never) => orders.pay("confirm", params),
    "order.cancelPay": (params: never) => orders.pay("cancel", params),
    "product.stockTry": (params: never) => products.hold("try", params),
    "product.stockConfirm": (params: never) => products.hold("confirm", params),
    "product.stockCancel": (params: never) => products.hold("cancel", params),
    "payment.try": (params: never) => payments.try(params),
    "payment.confirm": (params: never) => payments.confirm(params),
    "payment.cancel": (params: never) => payments.cancel(params),
  };
}

/** Calls as they go over NATS: lost, late, twice, or answered to nobody. Every outcome is a reply, as from callParticipant. */
export class Network {
  private readonly scheduler: Scheduler;
  private readonly handlers: Handlers;
  /** Requests that have not arrived yet. */
  private underWay = 0;

  constructor(scheduler: Scheduler, participants: Participants) {
    this.scheduler = scheduler;
    this.handlers = handlersOf(participants);
  }

  get isQuiet(): boolean {
    return this.underWay === 0;
  }

  call(caller: Process, { action, params, timeoutMs }: CallEffect): Promise<Reply> {
    const { scheduler } = this;
    const { random } = scheduler;
    return new Promise((resolve) => {
      let open = true;
      const answer = (reply: Reply) => {
        if (open) resolve(reply);
        open = false;
      };
      const arrive = async () => {
        this.underWay -= 1;
        const reply = await this.perform(action, params);
        if (random.strike("reply-lost", action)) return;
        const label = `${action} ${reply.ok ? "answers" : reply.error.type}`;
        scheduler.post(label, scheduler.latency("replies"), () => answer(reply), caller);
      };
      const send = (laterMs: number) => {
        this.underWay += 1;
        scheduler.post(action, laterMs + scheduler.latency("requests"), arrive);
      };
      if (random.strike("away", action)) {
        const reply = failed("SERVICE_NOT_FOUND", 404);
        return scheduler.post(`${action} is away`, 0.1, () => answer(reply), caller);
      }
      if (!random.strike("request-lost", action)) send(0);
      // Whoever stood still has asked as well, and goes on at any time.
      if (random.strike("request-twice", action)) send(random.at("asked again").next() ** 3 * 30_000);
      const timedOut = () => answer(failed("REQUEST_TIMEOUT", 504));
      scheduler.post(`${action} timed out`, timeoutMs, timedOut, caller);
    });
  }

  private async perform(action: string, params: object): Promise<Reply> {
    const handler = this.handlers[action];
    if (!handler) throw new TypeError(`the model has no action ${action}`);
    try {
      return { ok: true, result: await handler(params as never) };
    } catch (error) {
      return { ok: false, error: factsOf(error) };
    }
  }
}

function failed(type: string, status: number): Reply {
  return { ok: false, error: { type, message: type, status, retryable: true, data: {} } };
}
