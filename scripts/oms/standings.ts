import type {
  OutboxStanding,
  PartitionStanding,
  Standings,
  TrailEntry,
} from "../../lib/operator-contracts.ts";
import { newest } from "./api.ts";
import { deedLine } from "./instances.ts";
import { reasonText, table } from "./render.ts";
import { LIMIT, limitOf, type Outcome, textOf, type Verb } from "./verb.ts";

/** What waits, and what was done. */

function standingsOutcome<Item>(standings: Standings<Item>, lines: readonly string[]): Outcome {
  const away = standings.unreachable.map(
    ({ service, error }) => `${service} says nothing: ${reasonText(error)}`,
  );
  return {
    data: standings,
    lines: [...lines, ...away],
    ...(away.length > 0 && { ending: "partly" as const }),
  };
}

const outbox: Verb = {
  name: "outbox",
  summary: "Show what each service has committed and not yet told",
  more: "REFUSED: events that the bus does not take; later ones of their aggregates wait. They are dead letters of source outbox.",
  async run(api) {
    const standings = await api.get<Standings<OutboxStanding>>("/ops/outbox");
    const rows = standings.items.map(({ service, pending, lagSeconds, refused }) => [
      service,
      pending,
      lagSeconds,
      refused,
    ]);
    return standingsOutcome(standings, table(["SERVICE", "PENDING", "OLDEST S", "REFUSED"], rows));
  },
};

const lag: Verb = {
  name: "lag",
  summary: "Show how many messages each consumer group has still to take",
  more: "By topic, with the partition that is furthest behind. --json has every partition.",
  async run(api) {
    const standings = await api.get<Standings<PartitionStanding>>("/ops/lag");
    const byTopic = Map.groupBy(standings.items, ({ group, topic }) => `${group}\n${topic}`);
    const rows = [...byTopic].map(([name, partitions]) => {
      const [group = "", topic = ""] = name.split("\n");
      const sum = partitions.reduce((total, one) => total + one.lag, 0);
      const worst = partitions.reduce((most, one) => (one.lag > most.lag ? one : most));
      return [group, topic, sum, worst.lag === 0 ? "-" : `${worst.partition} (${worst.lag})`];
    });
    return standingsOutcome(standings, table(["GROUP", "TOPIC", "LAG", "WORST PARTITION"], rows));
  },
};

const audit: Verb = {
  name: "audit",
  summary: "List who did what to what, newest first",
  options: {
    actor: { value: "NAME", about: "only what this one did" },
    action: { value: "ACTION", about: "only this, as in operator.retry; operator: all that operators did" },
    target: { value: "ID", about: "only what was done to this saga, transaction, letter, order …" },
    service: {
      value: "NAME",
      about: "only the trail of this service; without it all of them have to answer",
    },
    limit: LIMIT,
  },
  async run(api, words) {
    const query = {
      actor: textOf(words, "actor"),
      action: textOf(words, "action"),
      targetId: textOf(words, "target"),
      service: textOf(words, "service"),
    };
    const deeds = await newest<TrailEntry>(api, "/ops/audit", query, limitOf(words));
    const lines = deeds.map((deed) => `${deedLine(deed)}  ${deed.target}`);
    return { data: deeds, lines: lines.length > 0 ? lines : ["there is nothing"] };
  },
};

export const STANDING_VERBS: readonly Verb[] = [outbox, lag, audit];
