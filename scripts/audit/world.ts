import { type Config, databaseUrl } from "../../lib/config.ts";
import { DATABASE_NAMES, type DatabaseName } from "../../lib/settings.ts";
import { type BusLog, BusUnreadableError, type CommittedOffsets } from "./bus-log.ts";
import { lastSignOfLife, livesNow } from "./life.ts";
import type { AuditOptions } from "./options.ts";
import { connectReadOnly, type Snapshot, takeSnapshot } from "./snapshot.ts";

export type Snapshots = Readonly<Record<DatabaseName, Snapshot>>;

/** One look at the system: every service's database at (almost) one moment, and the bus after that. */
export interface World {
  readonly snapshots: Snapshots;
  /** Undefined when the bus cannot be read; `busProblem` says why. */
  readonly bus: BusLog | undefined;
  readonly busProblem: string | undefined;
  /** How far the consumer groups had read before the snapshots: what they had read then is in their inboxes. */
  readonly committed: CommittedOffsets;
  /** Somebody works on it right now. */
  readonly live: boolean;
  /** The moment that deadlines are held against: now, or when a stopped system was last written to. */
  readonly asOf: Date;
  /** What is older than this in that database has had its grace. */
  late(name: DatabaseName): Date;
  close(): Promise<void>;
}

export type OpenBus = (config: Config) => Promise<BusLog>;

/** Opens everything. @throws DatabaseUnreadableError; a bus that cannot be read only leaves its part unchecked */
export async function openWorld(config: Config, options: AuditOptions, openBus: OpenBus): Promise<World> {
  const opened: { close(): Promise<void> }[] = [];
  const close = async () => {
    await Promise.allSettled(opened.map((one) => one.close()));
  };
  try {
    const clients = await connectAll(config, opened);
    const { log, committed, busProblem } = await openReadable(config, openBus);
    if (log !== undefined) opened.push(log);
    const taking = clients.map(async ([name, client]) => [name, await takeSnapshot(name, client)] as const);
    const snapshots = Object.fromEntries(await Promise.all(taking)) as Snapshots;
    return { ...(await judge(snapshots, options)), bus: log, busProblem, committed, snapshots, close };
  } catch (error) {
    await close();
    throw error;
  }
}

async function connectAll(config: Config, opened: { close(): Promise<void> }[]) {
  const connecting = DATABASE_NAMES.map(async (name) => {
    const client = await connectReadOnly(name, databaseUrl(config, name));
    opened.push({ close: () => client.end() });
    return [name, client] as const;
  });
  // All are waited for before the first failure is thrown: none is left behind open.
  await Promise.allSettled(connecting);
  return Promise.all(connecting);
}

/** What a failing bus costs is its own part of the audit. */
async function openReadable(config: Config, openBus: OpenBus) {
  let log: BusLog | undefined;
  try {
    log = await openBus(config);
    return { log, committed: await log.committed(), busProblem: undefined };
  } catch (error) {
    await log?.close();
    if (!(error instanceof BusUnreadableError)) throw error;
    return { log: undefined, committed: new Map<string, number>(), busProblem: error.message };
  }
}

/**
 * A stopped system is judged as of its last sign of life: what was under way when it stopped is not late because
 * nobody has worked on it since.
 */
async function judge(snapshots: Snapshots, { graceSeconds }: AuditOptions) {
  const all = Object.values(snapshots);
  const live = (await Promise.all(all.map(livesNow))).includes(true);
  const signs = live ? [] : await Promise.all(all.map(lastSignOfLife));
  const lastSign = Math.max(...signs);
  const takenAt = Math.max(...all.map((snapshot) => snapshot.takenAt.getTime()));
  const asOf = new Date(Number.isFinite(lastSign) ? Math.min(lastSign, takenAt) : takenAt);
  // Each database's deadlines are by its own clock.
  const late = (name: DatabaseName) =>
    new Date((live ? snapshots[name].takenAt : asOf).getTime() - graceSeconds * 1_000);
  return { live, asOf, late };
}
