import { type BusMessage, MessageRefusedError } from "./bus.ts";

/** Kafka's own default (message.max.bytes is 1,048,588 with the record's overhead); both buses keep to it. */
export const MESSAGE_BYTES_MAX = 1_000_000;

/** Between the values of one statement. JSON text never holds it raw, it would have to be escaped. */
export const SEPARATOR = "\u001e";

/**
 * Refuses what one of the buses could not carry, before anything is sent.
 * @throws MessageRefusedError with the index of the first such message
 */
export function checkMessages(messages: readonly BusMessage[]): void {
  messages.forEach(({ key, value, headers }, index) => {
    if (isTooLarge(key, value, headers)) {
      throw new MessageRefusedError(`the message is larger than ${MESSAGE_BYTES_MAX} bytes`, index);
    }
    if (hasForbidden(key) || hasForbidden(value)) {
      throw new MessageRefusedError("key and value must not hold the characters U+0000 and U+001E", index);
    }
  });
}

function isTooLarge(key: string, value: string, headers: Readonly<Record<string, string>>): boolean {
  // A UTF-16 unit takes at most three bytes; almost every message is far below and needs no exact count.
  if ((key.length + value.length) * 3 < MESSAGE_BYTES_MAX / 2 && Object.keys(headers).length < 64)
    return false;
  const bytes = [key, value, ...Object.entries(headers).flat()].map((text) => Buffer.byteLength(text));
  return bytes.reduce((sum, one) => sum + one, 0) > MESSAGE_BYTES_MAX;
}

function hasForbidden(text: string): boolean {
  return text.includes(SEPARATOR) || text.includes("\u0000");
}
