import type { Config } from "../../lib/config.ts";
import { DAY_MS } from "../../lib/retention-settings.ts";
import type { AgedRule } from "../../mixins/retention-walk.ts";

/** What the order service forgets; orders themselves stay. */
export const orderRules = ({ LATE_CALL_DAYS }: Config): readonly AgedRule[] => [
  {
    table: "order_tombstones",
    when: (cutoff) => `r.at < ${cutoff}`,
    keptMs: () => LATE_CALL_DAYS * DAY_MS,
  },
];
