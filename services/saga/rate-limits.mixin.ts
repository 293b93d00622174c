import type { Database } from "../../lib/database.ts";
import { type ActionContext, defineMixin } from "../../lib/define.ts";
import { log } from "../../lib/logging.ts";
import { createPoller, type Poller } from "../../lib/poller.ts";
import { forgetRates, settleRates } from "./rate-limits.store.ts";

interface RateVars {
  database: Database;
  ratesCleaner: Poller;
}

const CLEAN_EVERY_MS = 60_000;
const CLEAN_STEP = 1_000;
/** Most accounts that one call settles. */
export const SETTLED_AT_ONCE_MAX = 1_000;

/** Keeps what subjects and addresses have used of their allowances, for gateways that have no database. */
export const rateLimits = () =>
  defineMixin<RateVars>()({
    created() {
      this.ratesCleaner = createPoller({
        name: "rate limits cleanup",
        intervalMs: CLEAN_EVERY_MS,
        run: async () => (await forgetRates(this.database, CLEAN_STEP)) === CLEAN_STEP,
        onError: (err) => log(this.logger, {}).warn("rate limits cleanup will try again", { err }),
      });
    },
    async started() {
      this.ratesCleaner.start();
    },
    async stopped() {
      await this.ratesCleaner.stop();
    },
    actions: {
      /** Books what was used of allowances, in seconds; answers what each key owes with all gateways together. */
      settleRates: {
        callers: ["gateway"],
        params: {
          $$strict: true,
          spent: {
            type: "array",
            min: 1,
            max: SETTLED_AT_ONCE_MAX,
            items: {
              type: "object",
              strict: true,
              props: {
                key: { type: "string", min: 1, max: 200 },
                seconds: { type: "number", min: 0, max: 86_400 },
              },
            },
          },
        },
        async handler(ctx: ActionContext<"saga.settleRates">) {
          return { owed: await settleRates(this.database, ctx.params.spent) };
        },
      },
    },
  });
