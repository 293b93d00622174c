import type { ModelDatabase, ModelTx } from "../model-database.ts";
import type { Mutation } from "../mutations.ts";
import { type Process, Violation } from "../scheduler.ts";
import { leaseStatements } from "./leases.ts";

/** The tables of outbox and inbox, in the words of their stores' statements. */

export interface Delivery {
  readonly position: number;
  readonly id: string;
  readonly aggregateId: string;
  readonly version: number;
  readonly type: string;
  readonly topic: string;
  readonly payload: string;
  readonly headers: Record<string, string | null>;
  readonly bucket: number;
  status: "PENDING" | "PUBLISHED" | "FAILED";
  retries: number;
  nextAttemptAtMs: number;
}

export type Values = readonly unknown[];
export type Statement = {
  /** Rows that it locks, by key. */
  readonly keys?: (values: Values) => readonly string[];
  readonly run: (values: Values, nowMs: number, write: (apply: () => void) => void) => unknown[];
};

const RECORD_SEPARATOR = "\u001e";
const strings = (value: unknown) => value as readonly string[];
const numbers = (value: unknown) => value as readonly number[];

export class MessageTables {
  readonly deliveries = new Map<number, Delivery>();
  /** What the effects of events came to, by event. */
  readonly effects = new Map<string, number>();
  /** Committed versions by aggregate. */
  readonly versions = new Map<string, number>();
  private readonly inbox = new Set<string>();
  private readonly blocked = new Map<string, number>();
  private positions = 0;
  private readonly statements: Readonly<Record<string, Statement>>;

  private readonly gap: number;
  private readonly mutation: Mutation | undefined;

  /** @param gap at most this far positions are apart: sequences have gaps */
  constructor(gap: number, mutation: Mutation | undefined) {
    this.gap = gap;
    this.mutation = mutation;
    this.statements = { ...this.outbox(), ...leaseStatements(), ...this.others() };
  }

  /** One statement of one connection. Without a transaction it commits alone. */
  execute(
    database: ModelDatabase,
    owner: Process,
    name: string,
    values: Values,
    tx: ModelTx | undefined,
  ): Promise<unknown[]> {
    const statement = this.statements[name];
    if (!statement) throw new TypeError(`the model has no statement ${name}`);
    const keysOf = () => statement.keys?.(values) ?? [];
    return database.execute(owner, name, tx, keysOf, (nowMs) =>
      statement.run(values, nowMs, (apply) => {
        if (tx) tx.writes.push(apply);
        else apply();
      }),
    );
  }

  /** Events that wait behind one that was refused for good. */
  isBehindFailed({ aggregateId, position }: Delivery): boolean {
    return [...this.deliveries.values()].some(
      (other) => other.aggregateId === aggregateId && other.position < position && other.status === "FAILED",
    );
  }

  private outbox(): Record<string, Statement> {
    const update = (position: number, change: Partial<Delivery>) => () => {
      const delivery = this.deliveries.get(position);
      if (delivery?.status === "PENDING") Object.assign(delivery, change);
    };
    const byPosition = (positions: readonly number[]) => positions.map((position) => `delivery ${position}`);
    return {
      outbox_append: { run: (values, _now, write) => this.append(values, write) },
      outbox_pending: { run: (values, nowMs) => this.pending(values, nowMs) },
      outbox_published: {
        keys: ([positions]) => byPosition(numbers(positions)),
        run: ([positions], _now, write) => {
          for (const position of numbers(positions)) {
            write(update(position, { status: "PUBLISHED" }));
            for (const [aggregateId, at] of this.blocked) {
              if (at === position) write(() => this.blocked.delete(aggregateId));
            }
          }
          return [];
        },
      },
      outbox_refused: {
        keys: ([position]) => byPosition([position as number]),
        run: ([position, , attemptsMax, delayMs], nowMs, write) => {
          const delivery = this.deliveries.get(position as number);
          if (delivery?.status !== "PENDING") return [];
          const retries = delivery.retries + 1;
          const status = retries >= (attemptsMax as number) ? "FAILED" : "PENDING";
          write(
            update(position as number, { retries, status, nextAttemptAtMs: nowMs + (delayMs as number) }),
          );
          return [{ status, retry_count: retries }];
        },
      },
      outbox_block: {
        keys: ([aggregates, positions]) => [
          ...byPosition(numbers(positions)),
          ...strings(aggregates).map((id) => `block ${id}`),
        ],
        run: ([aggregates, positions], _now, write) => {
          strings(aggregates).forEach((id, index) => {
            const position = numbers(positions)[index] ?? 0;
            const isPending = this.deliveries.get(position)?.status === "PENDING";
            if (!isPending && this.mutation !== "blocked by what is out") return;
            const known = this.blocked.get(id);
            const isFirst = known === undefined || position < known || this.isOut(known);
            if (isFirst) write(() => this.blocked.set(id, position));
          });
          return [];
        },
      },
      outbox_postpone: {
        keys: ([positions]) => byPosition(numbers(positions)),
        run: ([positions, , delayMs], nowMs, write) => {
          for (const position of numbers(positions)) {
            write(update(position, { nextAttemptAtMs: nowMs + (delayMs as number) }));
          }
          return [];
        },
      },
      outbox_letters: {
        run: ([aggregateId]) => [{ letters: this.versions.get(aggregateId as string) ?? 0 }],
      },
    };
  }

  private isOut(position: number): boolean {
    if (this.mutation === "blocked by what is out") return false;
    return this.mutation === "blocks ignored" || this.deliveries.get(position)?.status === "PUBLISHED";
  }

  private append(values: Values, write: (apply: () => void) => void): unknown[] {
    const [ids, , aggregates, versions, types, topics, payloads, headers] = values;
    const documents = (payloads as string).split(RECORD_SEPARATOR);
    const headed = (headers as string).split(RECORD_SEPARATOR);
    return strings(ids).map((id, index) => {
      // Taken now, and seen at the commit: a later one may be seen before it.
      this.positions += this.gap;
      const aggregateId = strings(aggregates)[index] ?? "";
      const delivery: Delivery = {
        position: this.positions,
        id,
        aggregateId,
        version: numbers(versions)[index] ?? 0,
        type: strings(types)[index] ?? "",
        topic: strings(topics)[index] ?? "",
        payload: documents[index] ?? "",
        headers: JSON.parse(headed[index] ?? "{}") as Record<string, string | null>,
        bucket: Number.parseInt(aggregateId.at(-1) ?? "0", 16),
        status: "PENDING",
        retries: 0,
        nextAttemptAtMs: 0,
      };
      write(() => {
        const expected = (this.versions.get(aggregateId) ?? 0) + 1;
        if (delivery.version !== expected)
          throw new Violation(`version ${delivery.version} of ${aggregateId}`);
        this.versions.set(aggregateId, expected);
        this.deliveries.set(delivery.position, delivery);
      });
      return { position: delivery.position, event_id: id };
    });
  }

  private pending([after, buckets, limit]: Values, nowMs: number): unknown[] {
    const afterPosition = after as number;
    const all = [...this.deliveries.values()];
    const isBehind = ({ aggregateId, version }: Delivery) =>
      afterPosition > 0 &&
      this.mutation !== "predecessors ignored" &&
      all.some(
        (other) =>
          other.aggregateId === aggregateId &&
          other.version === version - 1 &&
          other.position <= afterPosition &&
          other.status === "PENDING",
      );
    return all
      .filter((one) => one.status === "PENDING" && one.position > afterPosition)
      .filter(({ bucket, nextAttemptAtMs }) => numbers(buckets).includes(bucket) && nextAttemptAtMs <= nowMs)
      .filter(({ aggregateId, position }) => {
        const blockedAt = this.blocked.get(aggregateId) ?? position;
        return blockedAt >= position || this.isOut(blockedAt);
      })
      .sort((a, b) => a.position - b.position)
      .slice(0, limit as number)
      .map((one) => ({
        position: one.position,
        retry_count: one.retries,
        id: one.id,
        aggregate_id: one.aggregateId,
        aggregate_version: one.version,
        event_type: one.type,
        topic: one.topic,
        payload: one.payload,
        headers: one.headers,
        created_at_ms: "0",
        behind: isBehind(one),
      }));
  }

  private others(): Record<string, Statement> {
    return {
      inbox_record: {
        keys: ([group, ids]) => strings(ids).map((id) => `${group} ${id}`),
        run: ([group, ids], _now, write) => {
          const fresh = strings(ids).filter(
            (id) => this.mutation === "inbox forgets" || !this.inbox.has(`${group} ${id}`),
          );
          for (const id of fresh) write(() => this.inbox.add(`${group} ${id}`));
          return fresh.map((id) => ({ event_id: id }));
        },
      },
      simulation_lock: {
        keys: ([aggregateId]) => [`aggregate ${aggregateId}`],
        run: ([aggregateId]) => [{ version: (this.versions.get(aggregateId as string) ?? 0) + 1 }],
      },
      simulation_effect: {
        run: ([ids], _now, write) => {
          for (const id of strings(ids)) write(() => this.effects.set(id, (this.effects.get(id) ?? 0) + 1));
          return [];
        },
      },
    };
  }
}
