import type { Actions } from "../../lib/actions.ts";
import { type Batcher, createBatcher } from "../../lib/batcher.ts";
import { config } from "../../lib/config.ts";
import type { PaymentView } from "../../lib/contracts.ts";
import type { Tx } from "../../lib/database.ts";
import { type ActionContext, callAction, defineService } from "../../lib/define.ts";
import { drainFirst } from "../../lib/drain.ts";
import { NotFoundError } from "../../lib/errors.ts";
import { type DomainEvent, TOPICS } from "../../lib/events.ts";
import { log } from "../../lib/logging.ts";
import { metricsOf } from "../../lib/metrics.ts";
import { uuid } from "../../lib/params.ts";
import type { Poller } from "../../lib/poller.ts";
import { createRecentShare } from "../../lib/recent-share.ts";
import { auditTrail } from "../../mixins/audit-trail.mixin.ts";
import { database } from "../../mixins/database.mixin.ts";
import { idempotency } from "../../mixins/idempotency.mixin.ts";
import { inbox } from "../../mixins/inbox.mixin.ts";
import { outbox } from "../../mixins/outbox.mixin.ts";
import { retention } from "../../mixins/retention.mixin.ts";
import { createPaymentCommands, type PaymentCommands } from "./payment.commands.ts";
import type { Traced } from "./payment.intents.ts";
import { paymentRules } from "./payment.retention.ts";
import { createAttemptWorker, createExpiryWorker } from "./payment.workers.ts";
import { findPayments, type PaymentLookup } from "./payment-view.store.ts";
import { openProvider } from "./psp/open-provider.ts";
import type { Provider } from "./psp/port.ts";
import { createProviderCalls } from "./psp/provider-calls.ts";
import { createProviderCircuit } from "./psp/provider-circuit.ts";
import { refundOrders, requestRefunds } from "./refund.commands.ts";
import { type Received, receiveEvents } from "./webhook.ts";

type Refund = Actions["payment.refund"];

interface PaymentVars {
  provider: Provider;
  commands: PaymentCommands;
  refund: Batcher<Traced<Refund["params"]>, Refund["result"]>;
  receive: Batcher<Received, { received: true }>;
  find: Batcher<PaymentLookup, readonly PaymentView[]>;
  attemptWorker: Poller;
  expiryWorker: Poller;
}

const viewer = { ...uuid, optional: true };
const amountMinor = { type: "number", integer: true, min: 1, max: Number.MAX_SAFE_INTEGER } as const;
const text = { type: "string", min: 1, max: 255 } as const;
const FAILURE_WINDOW_MS = 5 * 60_000;
const WEBHOOK_BYTES_MAX = 65_536;

/** Payments: authorised, captured, voided and refunded at a provider, with a ledger of what moved. */
export default defineService<PaymentVars>()({
  name: "payment",
  mixins: [
    inbox({ group: "payment-service-group", topics: [TOPICS.sagaCommands.name], types: ["REFUND_PAYMENT"] }),
    auditTrail("payment"),
    idempotency(),
    outbox("payment"),
    retention("payment", paymentRules),
    database("payment"),
  ],
  methods: {
    /** The provider behind the port; a test puts another one in its place. */
    openProvider(): Provider {
      return openProvider(config(), {
        deliver: async (body, headers) => {
          const callback = { provider: "simulator", body, headers: { ...headers } };
          await callAction(this.broker, "payment.webhook", callback, { caller: "payment" });
        },
        onError: (err) => log(this.logger, {}).warn("a callback will be repeated", { err }),
      });
    },
    async applyEvents(tx: Tx, events: readonly DomainEvent[]): Promise<void> {
      const commands = events.flatMap((event) =>
        event.eventType === "REFUND_PAYMENT"
          ? [{ data: event.data, correlationId: event.correlationId, causationId: event.eventId }]
          : [],
      );
      this.enqueueEvents(tx, await refundOrders(tx, commands));
      tx.afterCommit(() => this.attemptWorker.wake());
    },
  },
  created() {
    const settings = config();
    const sizeMax = settings.BATCH_SIZE_MAX;
    this.provider = this.openProvider();
    const context = {
      database: this.database,
      enqueueEvents: this.enqueueEvents,
      logger: this.logger,
      once: this.once,
      wakeWorker: () => this.attemptWorker.wake(),
      provider: this.provider.name,
      holdSeconds: settings.PAYMENT_HOLD_SECONDS,
    };
    const metrics = metricsOf(this.broker);
    const failures = createRecentShare(FAILURE_WINDOW_MS);
    metrics.collect(() => metrics.paymentFailureRate(failures.value()));
    const calls = createProviderCalls(this.provider, {
      onAnswer: ({ operation }, { kind }, seconds) => {
        metrics.paymentAttempt(operation, kind, seconds);
        failures.add(kind !== "succeeded");
      },
      concurrencyMax: settings.PSP_CONCURRENCY_MAX,
      timeoutMs: settings.PSP_TIMEOUT_MS,
      breaker: createProviderCircuit(settings.PSP_CIRCUIT_PERCENT, metrics, this.logger),
      onError: ({ attemptId, operation, authorisation: { orderId } }, err) =>
        log(this.logger, { orderId }).warn("the provider's answer is of no use", {
          attemptId,
          operation,
          err,
        }),
    });
    this.commands = createPaymentCommands(context, calls, sizeMax);
    this.refund = createBatcher({
      name: "payment.refund",
      sizeMax,
      run: (items) => requestRefunds(context, items),
    });
    this.receive = createBatcher({
      name: "payment.webhook",
      sizeMax,
      run: (items) => receiveEvents(context, items),
    });
    this.find = createBatcher({
      name: "payment.get",
      sizeMax,
      run: (items) => findPayments(this.database, items),
    });
    const workers = { ...context, calls, commands: this.commands, leaseMs: settings.PAYMENT_LEASE_MS };
    this.attemptWorker = createAttemptWorker(workers);
    this.expiryWorker = createExpiryWorker(workers);
  },
  async started() {
    await this.provider.start?.();
    this.attemptWorker.start();
    this.expiryWorker.start();
    drainFirst(this.broker, "payment workers", async () => {
      await Promise.all([this.attemptWorker.stop(), this.expiryWorker.stop()]);
    });
  },
  async stopped() {
    await Promise.all([this.attemptWorker.stop(), this.expiryWorker.stop()]);
    await this.provider.stop?.();
  },
  actions: {
    /** Authorises. @throws PAYMENT_DECLINED, PAYMENT_UNKNOWN, PAYMENT_ALREADY_CAPTURED, TCC_HANGING */
    try: {
      callers: ["saga", "gateway"],
      params: {
        $$strict: true,
        gid: uuid,
        orderId: uuid,
        customerId: uuid,
        amountMinor,
        currency: { type: "string", pattern: /^[A-Z]{3}$/ },
        paymentMethod: { type: "string", pattern: /^[A-Za-z0-9_-]{1,64}$/ },
      },
      handler(ctx: ActionContext<"payment.try">) {
        return this.commands.try(traced(ctx));
      },
    },
    /** Captures. @throws PAYMENT_DECLINED, PAYMENT_UNKNOWN, TCC_CONFIRM_AFTER_CANCEL, TCC_NOT_TRIED, … */
    confirm: {
      callers: ["saga", "gateway"],
      params: { $$strict: true, gid: uuid },
      handler(ctx: ActionContext<"payment.confirm">) {
        return this.commands.confirm(traced(ctx));
      },
    },
    /** Voids. @throws TCC_CANCEL_AFTER_CONFIRM, PAYMENT_UNKNOWN, PAYMENT_VOID_REFUSED */
    cancel: {
      callers: ["saga", "gateway"],
      params: { $$strict: true, gid: uuid },
      handler(ctx: ActionContext<"payment.cancel">) {
        return this.commands.cancel(traced(ctx));
      },
    },
    /** Promises a refund, of all that is left or a part. @throws PAYMENT_NOT_FOUND, PAYMENT_NOT_CAPTURED, REFUND_EXCEEDS_CAPTURED */
    refund: {
      callers: ["gateway"],
      params: {
        $$strict: true,
        paymentId: uuid,
        amountMinor: { type: "number", integer: true, optional: true },
        reason: { ...text, max: 500 },
        idempotency: {
          type: "object",
          strict: true,
          props: { subject: text, key: text, operation: text, requestHash: text },
        },
      },
      handler(ctx: ActionContext<"payment.refund">) {
        return this.refund(traced(ctx));
      },
    },
    /** @throws PAYMENT_NOT_FOUND also when it is another customer's */
    get: {
      callers: ["gateway"],
      params: { $$strict: true, paymentId: uuid, customerId: viewer },
      async handler(ctx: ActionContext<"payment.get">) {
        const [payment] = await this.find(ctx.params);
        if (!payment) throw new NotFoundError("payment", ctx.params.paymentId);
        return payment;
      },
    },
    /** All payments of an order, the oldest first. */
    byOrder: {
      callers: ["gateway"],
      params: { $$strict: true, orderId: uuid, customerId: viewer },
      async handler(ctx: ActionContext<"payment.byOrder">) {
        return { items: await this.find(ctx.params) };
      },
    },
    /** Answers after the commit. @throws WEBHOOK_SIGNATURE_INVALID, WEBHOOK_TOO_OLD, WEBHOOK_MALFORMED, WEBHOOK_AMOUNT_MISMATCH */
    webhook: {
      callers: ["gateway", "payment"],
      params: {
        $$strict: true,
        provider: text,
        body: { type: "string", max: WEBHOOK_BYTES_MAX },
        headers: { type: "record", key: "string", value: "string" },
      },
      async handler(ctx: ActionContext<"payment.webhook">) {
        const { provider, body, headers } = ctx.params;
        if (provider !== this.provider.name) throw new NotFoundError("provider", provider);
        return this.receive({ provider, event: await this.provider.readWebhook({ body, headers }) });
      },
    },
  },
});

function traced<Params>(ctx: { params: Params; meta: { correlationId?: string } }): Traced<Params> {
  return { params: ctx.params, correlationId: ctx.meta.correlationId ?? "none" };
}
