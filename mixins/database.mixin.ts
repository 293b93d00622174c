import { config, databaseUrl } from "../lib/config.ts";
import { type Database, openDatabase, type Tx, withTransaction } from "../lib/database.ts";
import { defineMixin } from "../lib/define.ts";
import { log } from "../lib/logging.ts";
import { metricsOf } from "../lib/metrics.ts";
import { readinessOf } from "../lib/readiness.ts";
import type { DatabaseName } from "../lib/settings.ts";
import { statement } from "../lib/statement.ts";

const PING = statement("database_ping", "select 1");

/**
 * Gives a service its own database: `this.database`, and `this.transaction(work)`. Mixins are listed from
 * the most dependent to the least, so this one stands last: it is created first and stopped last.
 */
export const database = (name: DatabaseName) =>
  defineMixin<{ database: Database }>()({
    methods: {
      /** Runs `work` in one transaction of the service's database, see withTransaction. */
      transaction<Result>(work: (tx: Tx) => Promise<Result>): Promise<Result> {
        return withTransaction(this.database, work);
      },
    },
    created() {
      const settings = config();
      this.database = openDatabase({
        url: databaseUrl(settings, name),
        name: `holdfast ${name}`,
        connectionsMax: settings.DATABASE_CONNECTIONS_MAX,
        statementTimeoutMs: settings.DATABASE_STATEMENT_TIMEOUT_MS,
        lockTimeoutMs: settings.DATABASE_LOCK_TIMEOUT_MS,
        onHookError: (err) =>
          log(this.logger, {}).error("a hook failed after its transaction had committed", { err }),
      });
      metricsOf(this.broker).watchDatabase(name, () => [this.database.counters]);
    },
    async started() {
      readinessOf(this.broker).register(`database:${name}`, async () => {
        await this.database.query(PING);
      });
    },
    async stopped() {
      await this.database.close();
    },
  });
