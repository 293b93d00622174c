import { type BusMessage, MessageRefusedError } from "./bus.ts";

/** Number of partitions by topic. */
export type PartitionCounts = ReadonlyMap<string, number>;

/**
 * Looks up the topics of messages; topics never change their number of partitions, so the broker is asked for
 * unknown ones only. Calls that meet an unknown topic at the same time wait for one answer, and so go on in the
 * order in which they came.
 * @throws MessageRefusedError names the first message whose topic does not exist
 */
export function createTopicCheck(
  load: () => Promise<PartitionCounts>,
): (messages: readonly BusMessage[]) => Promise<PartitionCounts> {
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
  const unknown = (messages: readonly BusMessage[]) =>
    messages.findIndex((message) => !known.has(message.topic));
  return async (messages) => {
    // The answer that is under way may be older than the topic; the second one is not.
    for (let attempt = 0; attempt < 2 && unknown(messages) >= 0; attempt += 1) await refresh();
    const index = unknown(messages);
    if (index >= 0) throw new MessageRefusedError(`there is no topic ${messages[index]?.topic}`, index);
    return known;
  };
}
