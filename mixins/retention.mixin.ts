import { hostname } from "node:os";
import { busOf } from "../lib/bus/broker-bus.ts";
import { type Config, config } from "../lib/config.ts";
import type { Database } from "../lib/database.ts";
import { defineMixin } from "../lib/define.ts";
import { uuidv7 } from "../lib/ids.ts";
import { log } from "../lib/logging.ts";
import { metricsOf } from "../lib/metrics.ts";
import { createPoller, type Poller } from "../lib/poller.ts";
import { commonRules } from "./retention-rules.ts";
import { type AgedRule, type WalkOptions, walkTable } from "./retention-walk.ts";

interface RetentionVars {
  database: Database;
  retention: Poller;
  retentionStop: AbortController;
}

/** How often a node asks whether a table is due. */
const ASK_MS = 60_000;

/**
 * Deletes what has outlived its time: from the tables that every service has, and from those that `own` names. One node
 * at a time walks through a table. Needs the database mixin.
 */
export const retention = (service: string, own: (config: Config) => readonly AgedRule[] = () => []) =>
  defineMixin<RetentionVars>()({
    methods: {
      /** What keeps one table from its walk keeps no other. */
      async forget(rule: AgedRule, options: WalkOptions): Promise<void> {
        const { table } = rule;
        try {
          const rows = await walkTable(rule, options);
          if (rows) log(this.logger, {}).info("rows past their time are deleted", { table, rows });
        } catch (err) {
          log(this.logger, {}).warn("retention will try again", { table, err });
        }
      },
    },
    created() {
      const settings = config();
      const metrics = metricsOf(this.broker);
      const rules = [...commonRules(settings, busOf(this.broker)), ...own(settings)];
      metrics.begin(
        "holdfast_retention_rows_total",
        rules.map(({ table }) => ({ service, table })),
      );
      this.retentionStop = new AbortController();
      const options = {
        database: this.database,
        owner: `${hostname()} ${process.pid} ${uuidv7()}`,
        intervalMs: settings.RETENTION_MINUTES * 60_000,
        signal: this.retentionStop.signal,
        onGone: (table: string, rows: number) => metrics.rowsForgotten(service, table, rows),
      };
      this.retention = createPoller({
        name: `retention ${service}`,
        intervalMs: ASK_MS,
        run: async () => {
          for (const rule of rules) await this.forget(rule, options);
          return false;
        },
        onError: (err) => log(this.logger, {}).warn("retention will try again", { err }),
      });
    },
    async started() {
      this.retention.start();
    },
    async stopped() {
      this.retentionStop.abort();
      await this.retention.stop();
    },
  });
