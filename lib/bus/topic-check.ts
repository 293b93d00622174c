import { type BusMessage, TopicMissingError } from "./bus.ts";

/** Number of partitions by topic. */
export type PartitionCounts = ReadonlyMap<string, number>;

export interface TopicCheck {
  /** @throws TopicMissingError names all topics of these messages that do not exist */
  check(messages: readonly BusMessage[]): Promise<PartitionCounts>;
  /** The broker is asked anew before the next messages: one of the topics may be gone. */
  forget(): void;
}

/**
 * Looks up the topics of messages; topics never change their number of partitions, so the broker is asked for
 * unknown ones only. Calls that meet an unknown topic at the same time wait for one answer, and so go on in the
 * order in which they came.
 */
export function createTopicCheck(load: () => Promise<PartitionCounts>): TopicCheck {
  let known: PartitionCounts = new Map();
  let loading: Promise<void> | undefined;
  const refresh = () => {
    loading ??= load()
      .then((counts) => {
        known = counts;
      })
      .finally(() => {
        loading = undefined;
      });
    return loading;
  };
  const isUnknown = ({ topic }: BusMessage) => !known.has(topic);
  return {
    async check(messages) {
      // The answer that is under way may be older than the topic; the second one is not.
      for (let attempt = 0; attempt < 2 && messages.some(isUnknown); attempt += 1) await refresh();
      const missing = messages.filter(isUnknown).map(({ topic }) => topic);
      if (missing.length > 0) throw new TopicMissingError([...new Set(missing)].sort());
      return known;
    },
    forget() {
      known = new Map();
    },
  };
}
