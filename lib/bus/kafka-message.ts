import type { EachBatchPayload, IHeaders, KafkaMessage } from "kafkajs";
import type { ReceivedMessage } from "./bus.ts";

/** A message as the port has it: texts instead of buffers, and no tombstones (an absent value is an empty text). */
export function receivedMessage(batch: EachBatchPayload["batch"], message: KafkaMessage): ReceivedMessage {
  return {
    topic: batch.topic,
    partition: batch.partition,
    offset: message.offset,
    key: message.key?.toString() ?? "",
    value: message.value?.toString() ?? "",
    headers: textHeaders(message.headers),
    timestampMs: Number(message.timestamp),
  };
}

/** Of a header that occurs several times the last one counts. */
function textHeaders(headers: IHeaders | undefined): Record<string, string> {
  const texts: Record<string, string> = {};
  for (const name in headers) {
    const given = headers[name];
    const last = Array.isArray(given) ? given.at(-1) : given;
    if (last !== undefined) texts[name] = last.toString();
  }
  return texts;
}
