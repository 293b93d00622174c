/**
 * A second coordinator process beside the cluster's own is killed at the moment at which it has decided to pay and has
 * told nobody. The other one finds the transaction in the database and finishes it.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { join } from "node:path";
import { nodeProgram } from "../../scripts/parts/process.ts";
import { FLOWS } from "../support/flows.ts";
import { describeOnStack, type System, startSystem } from "../support/system.ts";
import { until } from "../support/until.ts";

describeOnStack("a coordinator", () => {
  let system: System | undefined;
  let replica: ChildProcess | undefined;
  beforeAll(async () => {
    system = await startSystem({ mode: "cluster" });
  }, 150_000);
  afterAll(async () => {
    replica?.kill("SIGKILL");
    await system?.stop();
  }, 90_000);

  // When it is due is a sum of settings (unit/config: "within ten seconds"); a clock here would measure the machine.
  test("killed between decision and confirm is replaced by another", async () => {
    if (system === undefined) throw new Error("the system is not ready");
    const running = system;
    replica = startReplica(running);
    let diedAt = 0;
    replica.once("exit", () => {
      diedAt = performance.now();
    });
    await new Promise((resolve) => replica?.once("message", resolve));
    // Calls go round: some payments are the cluster's own coordinator's, one is the replica's first and last.
    const flows: Promise<unknown>[] = [];
    await until(
      "the replica has met its end",
      async () => {
        if (diedAt > 0) return true;
        const begun = await FLOWS.pay.prepare(running);
        flows.push(FLOWS.pay.act(running, begun));
        return false;
      },
      { timeoutMs: 90_000 },
    );
    expect(replica.signalCode).toBe("SIGKILL");
    await until("no transaction is open", () => noneOpen(running), { timeoutMs: 60_000 });
    const takenOverMs = Math.round(performance.now() - diedAt);
    await Promise.all(flows);
    const captured = await running.sql<{ payments: number; orders: number }>(
      "payment",
      `select count(*)::int as payments, count(distinct order_id)::int as orders
       from payments where status = 'captured'`,
    );
    expect(captured).toEqual([{ payments: flows.length, orders: flows.length }]);
    process.stderr.write(`take-over: ${flows.length} payments, finished ${takenOverMs} ms after the kill\n`);
  }, 180_000);
});

function startReplica({ demo, dataDir }: System): ChildProcess {
  const env = {
    ...process.env,
    DATABASE_URL: demo.databases.order.replace(/_order$/, ""),
    TRANSPORTER: demo.natsUrl,
    DATA_DIR: dataDir,
    DEMO: "true",
    CLUSTER_SECRETS_FILE: join(dataDir, "demo-keys", "cluster-secret"),
    SERVICES: "saga",
    NODE_ID: "saga-replica",
    INTERNAL_PORT: "0",
    LOG_LEVEL: "warn",
    FAULT_POINTS: "engine-saves.tcc_save.after-commit=kill",
  };
  const serve = join(__dirname, "..", "..", "scripts", "serve.ts");
  return spawn(nodeProgram(), [serve], { env, stdio: ["ignore", "inherit", "inherit", "ipc"] });
}

async function noneOpen({ sql }: System): Promise<boolean> {
  const open = await sql("saga", "select 1 from tcc_transactions where wake_at is not null");
  return open.length === 0;
}
