import type { Config } from "../../../lib/config.ts";
import type { Database, Tx } from "../../../lib/database.ts";
import { type ActionContext, defineMixin } from "../../../lib/define.ts";
import type { DomainEvent } from "../../../lib/events.ts";
import { log } from "../../../lib/logging.ts";
import { metricsOf } from "../../../lib/metrics.ts";
import type { OutboxStanding, PartitionStanding } from "../../../lib/operator-contracts.ts";
import { pageBy, seekOf } from "../../../lib/page.ts";
import { actor, cursor, deedReason, limit, uuid } from "../../../lib/params.ts";
import type { Poller } from "../../../lib/poller.ts";
import { appendToTrail } from "../../../mixins/audit-trail.store.ts";
import { isNotified, notificationOf } from "./notification.ts";
import {
  enableEndpoint,
  findEndpoint,
  insertNotifications,
  knowEndpoint,
  listNotifications,
} from "./notifications.store.ts";
import { openSender, type Sender } from "./sender.ts";
import { createNotificationWorker } from "./worker.ts";

/** The log of notifications, and how an operator has them sent again. Needs the database mixin. */
export const notificationLog = (settings: Config) =>
  defineMixin<NotificationLog>()({
    methods: {
      endpoint() {
        return findEndpoint(this.database, settings.NOTIFICATION_URL !== undefined);
      },
    },
    actions: {
      /** Newest first. @throws CURSOR_INVALID */
      notifications: {
        callers: ["gateway"],
        params: {
          $$strict: true,
          status: { type: "enum", values: ["PENDING", "DELIVERED", "FAILED", "SKIPPED"], optional: true },
          orderId: { ...uuid, optional: true },
          limit,
          cursor,
        },
        async handler(ctx: ActionContext<"customer.notifications">) {
          const found = await listNotifications(this.database, ctx.params, seekOf(ctx.params));
          return pageBy(found, ctx.params, ({ id: _, ...view }) => view);
        },
      },
      notificationEndpoint: {
        callers: ["gateway"],
        params: { $$strict: true },
        handler(_ctx: ActionContext<"customer.notificationEndpoint">) {
          return this.endpoint();
        },
      },
      /** Sends again what waits, and what comes from now on. Harmless where it is enabled. */
      enableNotifications: {
        callers: ["gateway"],
        params: { $$strict: true, actor, reason: deedReason },
        async handler(ctx: ActionContext<"customer.enableNotifications">) {
          const { actor: who, reason } = ctx.params;
          await this.transaction(async (tx) => {
            await enableEndpoint(tx);
            const { correlationId } = ctx.meta;
            const about = { actor: who, action: "notifications.enable", target: "notifications" };
            appendToTrail(tx, [{ ...about, detail: { reason }, correlationId }]);
          });
          this.notificationWorker?.wake();
          return this.endpoint();
        },
      },
    },
  });

interface NotificationLog {
  database: Database;
  transaction<Result>(work: (tx: Tx) => Promise<Result>): Promise<Result>;
  /** Where notifications are sent. */
  notificationWorker?: Poller;
}

/** What stands in for inbox and outbox where nobody is told of orders: operators ask every service for its queues. */
export const nothingToTell = () =>
  defineMixin()({
    actions: {
      lag: {
        callers: ["gateway"],
        params: { $$strict: true },
        handler: async (): Promise<{ partitions: PartitionStanding[] }> => ({ partitions: [] }),
      },
      outbox: {
        callers: ["gateway"],
        params: { $$strict: true },
        handler: async (): Promise<OutboxStanding> => ({
          service: "customer",
          pending: 0,
          lagSeconds: 0,
          refused: 0,
        }),
      },
    },
  });

interface Notifications {
  database: Database;
  sender: Sender | undefined;
  notificationWorker: Poller | undefined;
}

/** Tells NOTIFICATION_URL of the moves of orders. Needs the inbox, outbox, audit trail and database mixins. */
export const notifications = (settings: Config) =>
  defineMixin<Notifications>()({
    methods: {
      async applyEvents(tx: Tx, events: readonly DomainEvent[]): Promise<void> {
        insertNotifications(tx, events.filter(isNotified).map(notificationOf));
        tx.afterCommit(() => this.notificationWorker?.wake());
      },
    },
    created() {
      const sender = openSender(settings);
      if (sender === undefined) return;
      this.sender = sender;
      const metrics = metricsOf(this.broker);
      this.notificationWorker = createNotificationWorker({
        database: this.database,
        sender,
        logger: this.logger,
        metrics,
        concurrencyMax: settings.NOTIFICATION_CONCURRENCY_MAX,
        timeoutMs: settings.NOTIFICATION_TIMEOUT_MS,
        attemptsMax: settings.NOTIFICATION_ATTEMPTS_MAX,
        retryMaxMs: settings.NOTIFICATION_RETRY_MAX_SECONDS * 1_000,
        disableAfterMs: settings.NOTIFICATION_DISABLE_MINUTES * 60_000,
      });
      metrics.collect(async () => {
        const { pending, state } = await findEndpoint(this.database, true);
        metrics.set("holdfast_notifications_pending", pending);
        metrics.set("holdfast_notifications_disabled", state === "disabled" ? 1 : 0);
      });
    },
    async started() {
      if (this.sender === undefined) return;
      await knowEndpoint(this.database, this.sender.url);
      log(this.logger, {}).info("tells of orders", { url: this.sender.url });
      this.notificationWorker?.start();
    },
    async stopped() {
      await this.notificationWorker?.stop();
      this.sender?.close();
    },
  });
