import type { Database } from "../lib/database.ts";
import { defineMixin } from "../lib/define.ts";
import { log } from "../lib/logging.ts";
import { createPoller, type Poller } from "../lib/poller.ts";
import { trailHead } from "./audit-trail.store.ts";

interface AuditTrailVars {
  database: Database;
  trailWitness: Poller;
}

const WITNESS_EVERY_MS = 60_000;

/**
 * Says in the log how far the service's audit trail has come, and its last hash. Whoever can write to the database
 * could make a whole new chain; not one that fits the log. Needs the database mixin; entries are written by
 * `appendToTrail`.
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
    async started() {
      this.trailWitness.start();
    },
    async stopped() {
      await this.trailWitness.stop();
    },
  });
