import pg from "pg";
import type { DatabaseName } from "../../../lib/settings.ts";
import type { OwnPart } from "../../../scripts/parts/part.ts";
import { exists, sendSignal } from "../../../scripts/parts/process.ts";
import type { TcpProxy } from "../../support/tcp-proxy.ts";
import { until } from "../../support/until.ts";
import type { Cluster } from "./cluster.ts";
import { intrude, poison } from "./poison.ts";
import { type FaultKind, type PlannedFault, REPLICAS } from "./schedule.ts";

/** How each fault is brought about, and undone. */

/** Lets the fault last; ends early when its round is over. */
export type Last = (ms: number) => Promise<void>;
type Strike = (cluster: Cluster, fault: PlannedFault, last: Last) => Promise<void>;

const member = (cluster: Cluster, name: string) => existing(cluster.members.get(name), name);
const line = (cluster: Cluster, name: string) => existing(cluster.lines.get(name), name);

function existing<T>(found: T | undefined, name: string): T {
  if (found === undefined) throw new Error(`there is no ${name}`);
  return found;
}

/** A server goes, without a word or by its own shutdown, and comes again a while later. */
const away =
  (serverOf: (cluster: Cluster) => OwnPart, stop?: NodeJS.Signals): Strike =>
  async (cluster, { lastsMs }, last) => {
    const server = serverOf(cluster);
    try {
      if (stop === undefined) await server.kill("SIGKILL");
      else {
        const { pid } = server;
        sendSignal(pid, stop);
        await until(`${server.name} has stopped`, () => !exists(pid), { timeoutMs: 30_000 });
      }
      await last(lastsMs);
    } finally {
      await server.restart();
    }
  };

const bad =
  (worsen: (proxy: TcpProxy) => void): Strike =>
  async (cluster, { target, lastsMs }, last) => {
    const proxy = line(cluster, target);
    worsen(proxy);
    await last(lastsMs);
    proxy.become({ kind: "good" });
  };

/** The largest of each service's tables, and the ones that all have. */
const LOCKED: Readonly<Record<string, readonly string[]>> = {
  order: ["orders", "outbox_events"],
  product: ["products", "order_reservations"],
  payment: ["payments", "outbox_delivery"],
  customer: ["customers"],
  saga: ["saga_instances", "idempotency_records"],
};

const TOPICS_OF: Readonly<Record<string, string[]>> = {
  "order-service-group": ["oms.products.events"],
  "product-service-group": ["oms.saga.commands"],
  "payment-service-group": ["oms.saga.commands"],
  "saga-service-group": ["oms.products.events", "oms.payments.events"],
};

export const STRIKES: Readonly<Record<FaultKind, Strike>> = {
  kill: async (cluster, { target }) => member(cluster, target).kill(),
  pause: async (cluster, { target, lastsMs }, last) => {
    const paused = member(cluster, target);
    paused.freeze();
    await last(lastsMs);
    paused.thaw();
  },
  "rolling-restart": async (cluster, { target }) => {
    for (const replica of REPLICAS) await member(cluster, `${target}-${replica}`).replace();
  },
  "postgres-crash": away(({ postgres }) => postgres),
  "postgres-restart": away(({ postgres }) => postgres, "SIGINT"),
  "kafka-crash": away(({ kafka }) => kafka),
  "kafka-restart": away(({ kafka }) => kafka, "SIGTERM"),
  "kafka-pause": async ({ kafka: { pid } }, { lastsMs }, last) => {
    sendSignal(pid, "SIGSTOP");
    await last(lastsMs);
    sendSignal(pid, "SIGCONT");
  },
  "nats-crash": away(({ nats }) => nats),
  "nats-restart": away(({ nats }) => nats, "SIGTERM"),
  "backends-terminated": async (cluster, { target }) => {
    await cluster.sql(
      target as DatabaseName,
      `select pg_terminate_backend(pid) from pg_stat_activity
       where datname = current_database() and pid <> pg_backend_pid() and random() < 0.7`,
    );
  },
  "connections-exhausted": (cluster, { lastsMs }, last) => takeAllConnections(cluster, lastsMs, last),
  "tables-locked": (cluster, fault, last) => lockTables(cluster, fault, last),
  "disk-full": async ({ disk, postgres }, { lastsMs }, last) => {
    const makeRoom = existing(disk, "small disk").fill();
    try {
      await last(lastsMs);
    } finally {
      makeRoom();
      // Without room for its log it gives up, and stays away when there is none at its next start either.
      if (!(await isUp(postgres.adminUrl))) await postgres.restart();
    }
  },
  "line-delayed": bad((proxy) => proxy.become({ kind: "delayed", ms: 150 })),
  "line-slow": bad((proxy) => proxy.become({ kind: "slow", bytesPerSecond: 8_000 })),
  "line-blackhole": bad((proxy) => proxy.become({ kind: "blackhole" })),
  "line-refusing": bad((proxy) => proxy.become({ kind: "refusing" })),
  "line-reset": async (cluster, { target }) => line(cluster, target).reset(),
  "line-half-open": async (cluster, { target, lastsMs }, last) => {
    const mend = line(cluster, target).halfOpen();
    await last(lastsMs);
    mend();
  },
  "answers-lost": async (cluster, { target, lastsMs }) => line(cluster, target).loseAnswers(lastsMs),
  rebalance: async (cluster, { target, lastsMs }, last) => {
    const leave = await intrude(cluster.kafka.url, target, TOPICS_OF[target] ?? []);
    await last(lastsMs);
    await leave();
  },
  poison: (cluster, { target }) => poison(cluster.kafka.url, target),
};

async function isUp(url: string): Promise<boolean> {
  const client = newClient(url);
  try {
    await client.connect();
    await client.query("select 1");
    return true;
  } catch {
    return false;
  } finally {
    await client.end().catch(() => undefined);
  }
}

function newClient(connectionString: string): pg.Client {
  const client = new pg.Client({ connectionString, connectionTimeoutMillis: 5_000 });
  client.on("error", () => undefined);
  return client;
}

/** As when another program on the same server leaks its connections: who needs a new one gets none. */
async function takeAllConnections({ postgres }: Cluster, lastsMs: number, last: Last): Promise<void> {
  const taken: pg.Client[] = [];
  try {
    for (let full = false; !full; ) {
      const client = newClient(postgres.adminUrl);
      full = await client.connect().then(
        () => false,
        () => true,
      );
      if (!full) taken.push(client);
    }
    if (taken.length === 0) throw new Error("no connection could be taken");
    await last(lastsMs);
  } finally {
    await Promise.all(taken.map((client) => client.end().catch(() => undefined)));
  }
}

/** Whoever needs them waits, with all connections of its pool. */
async function lockTables(
  { postgres }: Cluster,
  { target, lastsMs }: PlannedFault,
  last: Last,
): Promise<void> {
  const client = newClient(postgres.urlOf(`oms_${target}`));
  try {
    await client.connect();
    await client.query("begin");
    await client.query("set local lock_timeout = '3s'");
    await client.query(`lock table ${existing(LOCKED[target], target).join(", ")} in access exclusive mode`);
    await last(lastsMs);
    await client.query("rollback");
  } finally {
    await client.end().catch(() => undefined);
  }
}
