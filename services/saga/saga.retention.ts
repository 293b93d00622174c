import type { Config } from "../../lib/config.ts";
import { DAY_MS } from "../../lib/retention-settings.ts";
import type { AgedRule } from "../../mixins/retention-walk.ts";

/** What the saga service forgets: only what has ended. What operators did stays. */
export const sagaRules = ({ SAGA_DAYS }: Config): readonly AgedRule[] => [
  {
    table: "saga_instances",
    when: (cutoff) =>
      `r.wake_at is null and r.state in ('COMPLETED', 'COMPENSATED') and r.updated_at < ${cutoff}`,
    keptMs: () => SAGA_DAYS * DAY_MS,
  },
  {
    table: "tcc_transactions",
    when: (cutoff) =>
      `r.wake_at is null and r.state in ('CONFIRMED', 'CANCELLED') and r.updated_at < ${cutoff}`,
    keptMs: () => SAGA_DAYS * DAY_MS,
  },
  {
    table: "dead_letters",
    // Open or not: the inbox that put the message aside has forgotten it by then, and would not take it any more.
    when: (cutoff) => `r.at < ${cutoff}`,
    keptMs: () => SAGA_DAYS * DAY_MS,
  },
];
