import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DEFAULTS } from "../../scripts/audit/options.ts";
import { runAudit } from "../../scripts/audit/run.ts";
import { configOfRunning } from "../../scripts/demo/demo-file.ts";
import type { Begun, Flow } from "./flows.ts";
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
  /** Has the next process, the one that recovers from this one's death, die at that point in its turn. */
  armNext(faults: string | undefined): void;
  /** Runs a flow to its end in a process that is killed at the armed point, and in the one after it. */
  through(flow: Flow): Promise<Crash>;
  /** What is wrong with the whole system once it is at rest: nothing. */
  violations(): Promise<readonly string[]>;
  stop(): Promise<void>;
}

export interface Crash {
  readonly begun: Begun;
  /** False: the flow came to its end without passing the point, and the process was killed after it. */
  readonly met: boolean;
  /** From the first answer of the process after it to the end of the flow. */
  readonly recoveredMs: number;
}

export async function startMortal(env: NodeJS.ProcessEnv = {}): Promise<MortalSystem> {
  const folder = mkdtempSync(join(tmpdir(), "holdfast-points-"));
  const [gate, log] = [join(folder, "gate"), join(folder, "log")];
  const gated = { ...env, FAULT_POINTS_GATE: gate, FAULT_POINTS_LOG: log };
  const system = await startSystem({ mode: "embedded", env: gated });
  const open = () => writeFileSync(gate, "");
  const close = () => rmSync(gate, { force: true });
  let next: string | undefined;
  const relaunch = () => {
    close();
    system.relaunch({ FAULT_POINTS: next });
    next = undefined;
  };
  const violations = () => violationsOf(system);
  return {
    system,
    violations,
    armNext(faults) {
      next = faults;
    },
    async pointsOf(flow) {
      const begun = await flow.prepare(system);
      expect(await violations()).toEqual([]);
      rmSync(log, { force: true });
      open();
      await flow.act(system, begun);
      expect(await violations()).toEqual([]);
      close();
      return readFileSync(log, "utf8").trim().split("\n");
    },
    async through(flow) {
      const begun = await flow.prepare(system);
      const death = system.died().then(() => "died" as const);
      open();
      const acting = flow.act(system, begun);
      // Until the system runs again its failure is nobody's; then it is ours.
      acting.catch(() => undefined);
      const met = (await Promise.race([death, acting])) === "died";
      if (!met) await system.kill("holdfast", "SIGKILL");
      relaunch();
      await system.ready();
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

/** Waits until it is at rest, as far as it comes to that, and audits it. */
async function violationsOf(system: System): Promise<string[]> {
  await until("nothing waits to be published", () => isAtRest(system), { timeoutMs: 60_000 });
  const config = configOfRunning({ DATA_DIR: system.dataDir });
  const { invariants } = await runAudit(config, { ...DEFAULTS, settleSeconds: 30 });
  return invariants.flatMap(({ id, unchecked, violations }) => [
    ...(unchecked === undefined ? [] : [`${id} unchecked: ${unchecked}`]),
    ...violations.map(({ subject, problem }) => `${id} ${subject}: ${problem}`),
  ]);
}

async function isAtRest(system: System): Promise<boolean> {
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
