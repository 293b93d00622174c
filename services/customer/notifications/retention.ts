import type { Config } from "../../../lib/config.ts";
import { DAY_MS } from "../../../lib/retention-settings.ts";
import type { AgedRule } from "../../../mixins/retention-walk.ts";

/** What the customer service forgets: the log of notifications. What waits stays. */
export const notificationRules = ({ NOTIFICATION_DAYS }: Config): readonly AgedRule[] => [
  {
    table: "notifications",
    when: (cutoff) => `r.status <> 'PENDING' and r.ended_at < ${cutoff}`,
    keptMs: () => NOTIFICATION_DAYS * DAY_MS,
  },
];
