import { randomUUID } from "node:crypto";
import { TOPICS } from "../../lib/events.ts";

/** For messages that no service of ours has sent. */

/** Who reads which topic. */
export const commands = { topic: TOPICS.sagaCommands, group: "product-service-group" };
export const answers = { topic: TOPICS.products, group: "saga-service-group" };

/** An event as the services write it. */
export const envelope = (eventType: string, more: object, eventId: string = randomUUID()) =>
  JSON.stringify({
    eventId,
    eventType,
    aggregateId: randomUUID(),
    aggregateType: "test",
    aggregateVersion: 1,
    timestamp: new Date().toISOString(),
    version: 1,
    correlationId: "poison",
    ...more,
  });

export const lineOf = (id: string, quantity = 1) => [{ productId: id, quantity }];
