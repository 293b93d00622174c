import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DEFAULTS } from "../../scripts/audit/options.ts";
import { runAudit } from "../../scripts/audit/run.ts";
import { configOfRunning } from "../../scripts/demo/demo-file.ts";
import type { Begun, Flow } from "./flows.ts";
import { PROVIDER_BOOKS } from "./provider-books.ts";
import { type System, startSystem } from "./system.ts";
import { until } from "./until.ts";

/**
 * npm start, whose process can be made to kill itself at a named point of a flow (docs/fault-injection.md). Points
 * work behind a gate, a file: neither a start nor the recovery from the last death passes them by accident.
 */
export interface MortalSystem {
  readonly system: System;
  /** Runs a flow and answers the points that are passed from its beginning until all is at rest. */
  pointsOf(flow: Flow): Promise<readonly string[]>;
  /** Runs a flow to its end in a process that is killed at that place of it, and in the one after that. */
  through(flow: Flow, death: Death): Promise<Crash>;
  /** What is wrong with the whole system once it is at rest: nothing. */
  violations(): Promise<readonly string[]>;
  stop(): Promise<void>;
}

export interface Death {
  /** A point's name, with `@n` when it is not the first passage that counts. */
  readonly at: string;
  /** Where the process that recovers from this death is to die in its turn, in another flow: saves a start. */
  readonly next?: string;
}

export interface Crash {
  readonly begun: Begun;
  /** False: the flow came to its end without passing the point, and the process was killed after it. */
  readonly met: boolean;
  /** From the first answer of the process after it to the end of the flow. */
  readonly recoveredMs: number;
}

/** Recovery waits for the leases on what the dead process had in hand: with the usual ones, for seconds. */
export const SHORT_LEASES = {
  SAGA_LEASE_MS: "500",
  SAGA_POLL_MS: "50",
  PAYMENT_LEASE_MS: "500",
  PSP_TIMEOUT_MS: "500",
};

export async function startMortal(env: NodeJS.ProcessEnv = {}): Promise<MortalSystem> {
  const folder = mkdtempSync(join(tmpdir(), "holdfast-points-"));
  const [gate, log] = [join(folder, "gate"), join(folder, "log")];
  const gated = { ...env, FAULT_POINTS_GATE: gate, FAULT_POINTS_LOG: log };
  const system = await startSystem({ mode: "embedded", env: gated });
  const open = () => writeFileSync(gate, "");
  const close = () => rmSync(gate, { force: true });
  let armed: string | undefined;
  const relaunch = (at: string | undefined) => {
    close();
    armed = at;
    system.relaunch({ FAULT_POINTS: at === undefined ? "" : killAt(at) });
    return system.ready();
  };
  return {
    system,
    violations: () => violationsOf(system),
    async pointsOf(flow) {
      const begun = await flow.prepare(system);
      await atRest(system);
      rmSync(log, { force: true });
      open();
      await flow.act(system, begun);
      await atRest(system);
      close();
      return readFileSync(log, "utf8").trim().split("\n");
    },
    async through(flow, { at, next }) {
      if (armed !== at) {
        await system.kill("holdfast", "SIGKILL");
        await relaunch(at);
      }
      const begun = await flow.prepare(system);
      await atRest(system);
      const death = system.died().then(() => "died" as const);
      open();
      const acting = flow.act(system, begun);
      // Until the system runs again its failure is nobody's; then it is ours.
      acting.catch(() => undefined);
      const met = (await Promise.race([death, acting])) === "died";
      if (!met) await system.kill("holdfast", "SIGKILL");
      await relaunch(next);
      const readyAt = performance.now();
      const ended = await acting;
      return { begun: ended, met, recoveredMs: Math.round(performance.now() - readyAt) };
    },
    async stop() {
      await system.stop();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

export function killAt(place: string): string {
  const [point, passage = "1"] = place.split("@");
  return `${point}=kill@${passage}`;
}

/** Waits until it is at rest, as far as it comes to that, and audits it. */
export async function violationsOf(system: Pick<System, "sql" | "dataDir">): Promise<string[]> {
  await atRest(system);
  const config = configOfRunning({ DATA_DIR: system.dataDir });
  const { invariants } = await runAudit(config, { ...DEFAULTS, settleSeconds: 30 });
  const books = await system.sql<{ violation: string }>("payment", PROVIDER_BOOKS);
  return invariants
    .flatMap(({ id, unchecked, violations }) => [
      ...(unchecked === undefined ? [] : [`${id} unchecked: ${unchecked}`]),
      ...violations.map(({ subject, problem }) => `${id} ${subject}: ${problem}`),
    ])
    .concat(books.map(({ violation }) => violation));
}

export async function atRest(system: Pick<System, "sql">): Promise<void> {
  await until("nothing is under way", () => isAtRest(system), { timeoutMs: 60_000 });
}

async function isAtRest(system: Pick<System, "sql">): Promise<boolean> {
  const [open] = await system.sql<{ count: number }>(
    "saga",
    `select ((select count(*) from saga_instances where wake_at is not null)
           + (select count(*) from tcc_transactions where wake_at is not null))::int as count`,
  );
  if (open?.count !== 0) return false;
  for (const database of ["order", "product", "payment", "saga"] as const) {
    const [waiting] = await system.sql<{ count: number }>(
      database,
      "select count(*)::int as count from outbox_delivery where status = 'PENDING'",
    );
    if (waiting?.count !== 0) return false;
  }
  return true;
}
