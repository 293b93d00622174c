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
    // Its topic has long forgotten it by then; one that nobody has dealt with stays.
    when: (cutoff) => `r.status <> 'OPEN' and greatest(r.redriven_at, r.discarded_at) < ${cutoff}`,
    keptMs: () => SAGA_DAYS * DAY_MS,
  },
];
