import type { Bus } from "../lib/bus/bus.ts";
import type { Config } from "../lib/config.ts";
import { DAY_MS, replayDays } from "../lib/retention-settings.ts";
import { TOPICS } from "../lib/topics.ts";
import type { AgedRule } from "./retention-walk.ts";

/** Retention of the tables that every service's database has; docs/retention.md says why each one may forget what it forgets. */
export function commonRules(config: Config, bus: Pick<Bus, "describeTopics">): readonly AgedRule[] {
  const { OUTBOX_DAYS, INBOX_DAYS, LATE_CALL_DAYS } = config;
  return [
    {
      table: "outbox_delivery",
      // What waits and what was refused stays, however old it is.
      when: (cutoff) => `r.status = 'PUBLISHED' and r.published_at < ${cutoff}`,
      keys: ["position"],
      alongside: "delete from outbox_events where position = any(array(select position from old))",
      keptMs: () => OUTBOX_DAYS * DAY_MS,
    },
    {
      table: "processed_events",
      when: (cutoff) => `r.processed_at < ${cutoff}`,
      // Whatever the settings say, what the topics can still bring back is remembered.
      keptMs: async () => {
        const topics = await bus.describeTopics(Object.values(TOPICS).map(({ name }) => name));
        return Math.max(INBOX_DAYS, replayDays(OUTBOX_DAYS, topics)) * DAY_MS;
      },
    },
    {
      table: "idempotency_records",
      // Each has a time of its own; a request that is in hand has none.
      when: (cutoff) => `r.expires_at < ${cutoff}`,
      keptMs: () => 0,
    },
    {
      table: "tcc_barriers",
      // Counted from the branch's end, and the try goes with it: one that nobody has ended stays.
      when: (cutoff) => `r.op <> 'try' and r.created_at < ${cutoff}`,
      keys: ["gid", "branch"],
      alongside: `delete from tcc_barriers b
        where b.op = 'try' and b.gid = any(array(select gid from old))
          and exists (select from old where old.gid = b.gid and old.branch = b.branch)`,
      keptMs: () => LATE_CALL_DAYS * DAY_MS,
    },
    {
      table: "outbox_relays",
      // Of nodes that died; one that stops takes its row with it.
      when: (cutoff) => `r.seen_until < ${cutoff}`,
      keptMs: () => DAY_MS,
    },
  ];
}
