import type { Database } from "../lib/database.ts";
import { type ActionContext, defineMixin } from "../lib/define.ts";
import { log } from "../lib/logging.ts";
import { createPoller, type Poller } from "../lib/poller.ts";
import { trailHead } from "./audit-trail.store.ts";
import { listTrail } from "./audit-trail-list.store.ts";

interface AuditTrailVars {
  database: Database;
  trailWitness: Poller;
}

const WITNESS_EVERY_MS = 60_000;
const text = { type: "string", min: 1, max: 200, optional: true } as const;

/**
 * Says in the log how far the service's audit trail has come, and its last hash. Whoever can write to the database
 * could make a whole new chain; not one that fits the log. Needs the database mixin; entries are written by
 * `appendToTrail`, and operators look through them by the action `trail`.
 */
export const auditTrail = (service: string) =>
  defineMixin<AuditTrailVars>()({
    created() {
      let told = 0;
      this.trailWitness = createPoller({
        name: "audit trail witness",
        intervalMs: WITNESS_EVERY_MS,
        run: async () => {
          const head = await trailHead(this.database);
          if (head !== undefined && head.sequence !== told) {
            told = head.sequence;
            log(this.logger, {}).info("audit trail", { service, ...head });
          }
          return false;
        },
        onError: (err) => log(this.logger, {}).warn("the audit trail's head will be read again", { err }),
      });
    },
    actions: {
      /** What the trail holds, newest first. */
      trail: {
        callers: ["gateway"],
        params: {
          $$strict: true,
          before: { type: "number", integer: true, min: 0, optional: true },
          actor: text,
          action: text,
          targetId: text,
          rows: { type: "number", integer: true, min: 1, max: 101 },
        },
        async handler(ctx: ActionContext<"order.trail">) {
          return { items: await listTrail(this.database, ctx.params) };
        },
      },
    },
    async started() {
      this.trailWitness.start();
    },
    async stopped() {
      await this.trailWitness.stop();
    },
  });
