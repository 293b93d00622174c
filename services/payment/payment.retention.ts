import type { Config } from "../../lib/config.ts";
import { DAY_MS } from "../../lib/retention-settings.ts";
import type { AgedRule } from "../../mixins/retention-walk.ts";

/** What the payment service forgets; payments, their attempts and refunds and the ledger stay. */
export const paymentRules = ({ PSP_EVENT_DAYS }: Config): readonly AgedRule[] => [
  {
    table: "psp_events",
    when: (cutoff) => `r.received_at < ${cutoff}`,
    keptMs: () => PSP_EVENT_DAYS * DAY_MS,
  },
];
