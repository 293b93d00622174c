import { type ChildProcess, fork, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, openSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { guard, type StopStep, unguard } from "../../scripts/parts/guard.ts";
import { freePort } from "../../scripts/parts/ports.ts";
import { exists, waitFor } from "../../scripts/parts/process.ts";

export interface RestateServer {
  /** Where orders go in. */
  readonly ingress: string;
  readonly serverPid: number;
  readonly workerPid: number;
  stop(): Promise<void>;
}

const STOP: readonly StopStep[] = [
  { signal: "SIGTERM", waitMs: 5_000 },
  { signal: "SIGKILL", waitMs: 5_000 },
];
const READY_MS_MAX = 180_000;

interface Options {
  /** Where the peers are installed. */
  readonly folder: string;
  readonly dataDir: string;
  /** The database of the business rows. */
  readonly url: string;
}

/** Restate: a server with a log of its own on disk, as it comes, and a process that runs the steps. */
export async function startRestate({ folder, dataDir, url }: Options): Promise<RestateServer> {
  const base = join(dataDir, "restate");
  mkdirSync(base, { recursive: true });
  const [admin, ingress, node, service] = [
    await freePort(),
    await freePort(),
    await freePort(),
    await freePort(),
  ];
  const log = openSync(join(dataDir, "restate.log"), "a");
  const program = join(
    folder,
    "node_modules",
    "@restatedev",
    `restate-server-linux-${process.arch}`,
    "bin",
    "restate-server",
  );
  const server = spawn(program, ["--base-dir", base], {
    stdio: ["ignore", log, log],
    env: {
      ...process.env,
      DO_NOT_TRACK: "1",
      RUST_LOG: "warn",
      RESTATE_ADMIN__BIND_ADDRESS: `127.0.0.1:${admin}`,
      RESTATE_INGRESS__BIND_ADDRESS: `127.0.0.1:${ingress}`,
      RESTATE_BIND_ADDRESS: `127.0.0.1:${node}`,
      RESTATE_ADVERTISED_ADDRESS: `http://127.0.0.1:${node}`,
    },
  });
  await once(server, "spawn");
  guard({ pid: server.pid ?? 0, marker: base, steps: STOP });
  const worker = fork(
    fileURLToPath(new URL("./restate-worker.ts", import.meta.url)),
    [folder, url, String(service)],
    {
      stdio: ["ignore", log, log, "ipc"],
      env: { ...process.env, RESTATE_LOGGING: "ERROR", NODE_ENV: "production" },
    },
  );
  const stop = async () => {
    await end(worker);
    await end(server);
    unguard(server.pid ?? 0);
  };
  try {
    await once(worker, "message", { signal: AbortSignal.timeout(READY_MS_MAX) });
    const isRegistered = await waitFor(() => register(admin, service), READY_MS_MAX, 200);
    if (!isRegistered)
      throw new Error(`restate did not take the service (log: ${join(dataDir, "restate.log")})`);
  } catch (error) {
    await stop();
    throw error;
  }
  return {
    ingress: `http://127.0.0.1:${ingress}`,
    serverPid: server.pid ?? 0,
    workerPid: worker.pid ?? 0,
    stop,
  };
}

async function register(admin: number, service: number): Promise<boolean> {
  try {
    const answer = await fetch(`http://127.0.0.1:${admin}/deployments`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ uri: `http://127.0.0.1:${service}`, force: true }),
    });
    return answer.ok;
  } catch {
    // Not up yet; the wait has an end.
    return false;
  }
}

async function end(child: ChildProcess): Promise<void> {
  const { pid = 0 } = child;
  for (const { signal, waitMs } of STOP) {
    if (!exists(pid)) return;
    child.kill(signal);
    await waitFor(() => !exists(pid), waitMs);
  }
}
