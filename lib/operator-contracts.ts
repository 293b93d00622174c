import type { Reason } from "./events.ts";
import type { DatabaseName } from "./settings.ts";

/** What operators look at and do, as services tell it to each other and to the gateway (lib/actions.ts). */

export interface OperationDone {
  readonly id: string;
  readonly action: string;
  readonly done: true;
}

/** A move of an order that is told to the outside, and what became of that. */
export interface NotificationView {
  /** `webhook-id` of the request; the event's id. */
  readonly notificationId: string;
  readonly orderId: string;
  readonly type: string;
  readonly status: "PENDING" | "DELIVERED" | "FAILED" | "SKIPPED";
  readonly attempts: number;
  readonly createdAt: string;
  readonly dueAt?: string;
  /** The HTTP status of the last attempt. */
  readonly lastStatus?: number;
  readonly lastError?: string;
  readonly endedAt?: string;
}

/** Where notifications are sent, and how that goes. */
export interface NotificationEndpoint {
  readonly state: "off" | "active" | "failing" | "disabled";
  readonly pending: number;
  readonly url?: string;
  readonly failingSince?: string;
  readonly disabledAt?: string;
  readonly lastError?: string;
}

/** One entry of the audit trail of a service. */
export interface TrailEntry {
  readonly service: DatabaseName;
  /** Its place in that trail. */
  readonly sequence: number;
  readonly at: string;
  /** The subject of a token, or the part of the system that acted by itself. */
  readonly actor: string;
  readonly action: string;
  /** "order 0199…", or a route. */
  readonly target: string;
  readonly detail: Readonly<Record<string, unknown>>;
  readonly correlationId?: string;
  readonly hash: string;
}

export interface TrailFilter {
  /** Entries before that one; left out: from the end of the trail. */
  readonly before?: number;
  readonly actor?: string;
  /** An action, or the first word of several. */
  readonly action?: string;
  readonly targetId?: string;
  readonly rows: number;
}

export interface DeadLetterView {
  readonly letterId: string;
  /** The consumer group that put the message aside, or `outbox`: the bus refused an event. */
  readonly source: string;
  readonly topic: string;
  readonly eventType: string;
  readonly error: Reason;
  readonly attempts: number;
  readonly correlationId: string;
  readonly at: string;
  readonly status: LetterStatus;
  readonly redrives: number;
  /** Why it could not be delivered when it was last tried again. */
  readonly redriveError?: string;
  readonly redrivenAt?: string;
  readonly discardedAt?: string;
}

/** OPEN: to be dealt with. REDRIVEN: delivered again. DISCARDED: nobody is going to deliver it. */
export type LetterStatus = "OPEN" | "REDRIVEN" | "DISCARDED";

/** A letter with the message that it carries, as far as that could be kept. */
export interface DeadLetterDetails extends DeadLetterView {
  readonly partition?: number;
  readonly offset?: string;
  readonly key?: string;
  readonly value?: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** Where the refused event stands in its outbox. */
  readonly position?: number;
  /** The message was too large for its letter. */
  readonly truncated?: boolean;
}

/** Open letters that have one reason. */
export interface DeadLetterGroup {
  readonly code: string;
  readonly topic: string;
  readonly source: string;
  readonly letters: number;
  readonly eventTypes: readonly string[];
  readonly oldestAt: string;
  readonly newestAt: string;
}

/** Which dead letters are meant: those named, those of a kind, or all that are open. */
export interface LetterChoice {
  readonly letterIds?: readonly string[];
  readonly source?: string;
  readonly topic?: string;
  readonly eventType?: string;
  readonly code?: string;
  readonly all?: boolean;
}

export interface RedriveAnswer {
  readonly redriven: readonly string[];
  readonly failed: readonly FailedLetter[];
}

export interface FailedLetter {
  readonly letterId: string;
  readonly error: Reason;
}

export interface DiscardAnswer {
  readonly discarded: readonly string[];
  readonly failed: readonly FailedLetter[];
}

/** What is committed in one service's database and not on the bus. */
export interface OutboxStanding {
  readonly service: string;
  /** Counted up to 100,000. */
  readonly pending: number;
  /** Age of the oldest of them; 0 when there is none. */
  readonly lagSeconds: number;
  /** Events that the bus has refused: later ones of their aggregates wait behind them. */
  readonly refused: number;
}

/** What a consumer group has not taken yet. */
export interface PartitionStanding {
  readonly group: string;
  readonly topic: string;
  readonly partition: number;
  readonly lag: number;
}

/** Of each service what it says, or why it says nothing. */
export interface Standings<Item> {
  readonly items: readonly Item[];
  readonly unreachable: readonly { readonly service: string; readonly error: Reason }[];
}
