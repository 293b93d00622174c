import pg from "pg";

/** Databases of a small system, row by row, as its services and its bus would have left them. */

export type SceneDatabase = "order" | "product" | "payment" | "customer" | "saga" | "bus";
export const SCENE_DATABASES = ["order", "product", "payment", "customer", "saga", "bus"] as const;
export type Row = Readonly<Record<string, unknown>>;

/** A UUID that shows what it is: uuid(0xa1) ends with a1. */
export const uuid = (number: number) => `0199aaaa-0000-7000-8000-${number.toString(16).padStart(12, "0")}`;

const TOPICS: Readonly<Record<string, readonly [name: string, partitions: number]>> = {
  order: ["oms.orders.events", 6],
  reservation: ["oms.products.events", 6],
  product: ["oms.products.events", 6],
  payment: ["oms.payments.events", 6],
  saga: ["oms.saga.commands", 3],
  "dead-letter": ["oms.dlq", 1],
};

/** Who records which events. */
const GROUPS = [
  ["product-service-group", "product", ["RESERVE_STOCK", "RELEASE_STOCK"]],
  [
    "saga-service-group",
    "saga",
    ["STOCK_RESERVED", "STOCK_RESERVATION_FAILED", "STOCK_RELEASED", "PAYMENT_REFUNDED"],
  ],
  ["payment-service-group", "payment", ["REFUND_PAYMENT"]],
  ["order-service-group", "order", ["STOCK_RELEASED"]],
] as const;

export interface SceneEvent {
  readonly database: SceneDatabase;
  readonly aggregate: string;
  readonly id: string;
  readonly type: string;
  readonly data?: Row;
  /** Default PUBLISHED; a FAILED one is not on the bus. */
  readonly status?: "PUBLISHED" | "FAILED";
}

/** Rows by table, and the messages that follow from them. */
export class Tables {
  readonly rows = new Map<string, Row[]>();
  readonly #versions = new Map<string, number>();
  readonly #positions = new Map<string, number>();
  readonly #offsets = new Map<string, number>();
  #events = 0x1000;

  constructor() {
    for (const [name, partitions] of new Map(Object.values(TOPICS))) {
      this.add("bus", "bus_topics", { name, partitions, retention_ms: 7 * 86_400_000 });
    }
  }

  add(database: SceneDatabase, table: string, ...rows: readonly Row[]): void {
    const name = `${database}.${table}`;
    this.rows.set(name, [...(this.rows.get(name) ?? []), ...rows]);
  }

  /** An event with everything that comes of it: outbox, bus, inboxes. Answers its id. */
  event({ database, aggregate, id: key, type, data = {}, status = "PUBLISHED" }: SceneEvent): string {
    const id = uuid(this.#events++);
    const version = count(this.#versions, `${aggregate} ${key}`) + 1;
    const position = count(this.#positions, database) + 1;
    const [topic] = TOPICS[aggregate] ?? [""];
    const payload = { eventId: id, eventType: type, aggregateId: key, aggregateVersion: version, data };
    this.add(database, "outbox_events", {
      position,
      id,
      aggregate_type: aggregate,
      aggregate_id: key,
      aggregate_version: version,
      event_type: type,
      topic,
      payload,
      headers: { "correlation-id": "scene" },
    });
    const failure = status === "FAILED" ? { error_message: "too large", retry_count: 5 } : {};
    this.add(database, "outbox_delivery", { position, event_id: id, bucket: 0, status, ...failure });
    if (status === "FAILED") this.add(database, "outbox_blocked", { aggregate_id: key, position });
    else this.publish(aggregate, key, JSON.stringify(payload), { "event-id": id, "event-type": type });
    return id;
  }

  /** A message on the bus, and what the groups that read its topic record of it. */
  publish(aggregate: string, key: string, value: string, headers: Record<string, string>): Row {
    const [topic, partitions] = TOPICS[aggregate] ?? ["", 1];
    const partition = Number.parseInt(key.slice(-1), 16) % partitions;
    const offset = count(this.#offsets, `${topic}/${partition}`);
    this.add("bus", "bus_log", { topic, partition, offset, key, value, headers: JSON.stringify(headers) });
    const [event_id, event_type] = [headers["event-id"], headers["event-type"]];
    for (const [consumer_group, database, types] of GROUPS) {
      if (!types.some((type) => type === event_type)) continue;
      const row = { consumer_group, event_id, event_type, topic, partition, offset, result: "PROCESSED" };
      this.add(database, "processed_events", row);
    }
    return { topic, partition, offset };
  }

  /** Every group has read everything. */
  finish(): void {
    for (const [place, next_offset] of this.#offsets) {
      const [topic = "", partition] = place.split("/");
      this.add("bus", "bus_partitions", { topic, partition: Number(partition), next_offset });
      for (const [group_name] of GROUPS)
        this.add("bus", "bus_offsets", { group_name, topic, partition: Number(partition), next_offset });
    }
  }

  async insertInto(database: SceneDatabase, url: string): Promise<void> {
    const client = new pg.Client({ connectionString: url });
    await client.connect();
    try {
      for (const [name, rows] of this.rows) {
        const [of, table = ""] = name.split(".");
        if (of === database) await insertRows(client, table, rows);
      }
    } finally {
      await client.end();
    }
  }
}

/** Rows of a table may have different columns: what a row leaves out takes its default. */
async function insertRows(client: pg.Client, table: string, rows: readonly Row[]): Promise<void> {
  for (const row of rows) {
    const columns = Object.keys(row).map((column) => `"${column}"`);
    await client.query(
      `insert into ${table} (${columns}) overriding system value
       select ${columns} from json_populate_record(null::${table}, $1)`,
      [JSON.stringify(row)],
    );
  }
}

/** Answers how often it was asked before. */
function count(counts: Map<string, number>, name: string): number {
  const before = counts.get(name) ?? 0;
  counts.set(name, before + 1);
  return before;
}
