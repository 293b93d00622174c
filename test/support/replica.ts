import { type ChildProcess, spawn } from "node:child_process";
import { join } from "node:path";
import { freePort } from "../../scripts/parts/ports.ts";
import { nodeProgram } from "../../scripts/parts/process.ts";
import { http } from "./http.ts";
import type { System } from "./system.ts";
import { until } from "./until.ts";

/** One more gateway on a system's databases: with all services beside it in embedded mode, alone on NATS in the others. */
export interface Replica {
  /** Base address of its API, for `at` of a request. */
  readonly api: string;
  /** Waits until it has died, as it was told to. */
  died(): Promise<void>;
  stop(): Promise<void>;
}

const NOBODYS = "01990000-0000-7000-8000-00000000ffff";
const readyMsMax = 60_000;
const goneMsMax = 40_000;

export async function startReplica(system: System, env: NodeJS.ProcessEnv = {}): Promise<Replica> {
  const { demo, dataDir, mode } = system;
  const [port, internalPort] = [await freePort(), await freePort()];
  const child = spawn(nodeProgram(), [join(__dirname, "..", "..", "scripts", "serve.ts")], {
    env: {
      ...process.env,
      ...system.env,
      DATABASE_URL: demo.databases.order.replace(/_order$/, ""),
      ...(mode !== "embedded" && { TRANSPORTER: demo.natsUrl, SERVICES: "gateway" }),
      JWT_KEYS: join(dataDir, "demo-keys", "jwks.json"),
      DATA_DIR: dataDir,
      PERSONAL_DATA_KEYS: join(dataDir, "demo-keys", "personal-data.json"),
      CLUSTER_SECRETS_FILE: join(dataDir, "demo-keys", "cluster-secret"),
      DEMO: "true",
      NODE_ID: `replica-${port}`,
      PORT: String(port),
      INTERNAL_PORT: String(internalPort),
      LOG_LEVEL: "error",
      ...env,
    },
    stdio: ["ignore", "inherit", "inherit"],
  });
  const gone = () => child.exitCode !== null || child.signalCode !== null;
  const ready = async () => (await http(`http://127.0.0.1:${internalPort}/ready`)).status === 200;
  await until(
    "the replica is ready",
    () => {
      if (gone()) throw new Error(`it ended with ${child.exitCode ?? child.signalCode}`);
      return ready();
    },
    { timeoutMs: readyMsMax },
  );
  // Ready is what runs in its own process: the others it has still to hear of.
  const api = `http://127.0.0.1:${port}/api`;
  const authorization = `Bearer ${demo.tokens.customer}`;
  const reaches = async (path: string) => (await http(api + path, { headers: { authorization } })).status;
  await until("the replica reaches all services", async () => {
    const statuses = await Promise.all(["/orders?limit=1", "/products?limit=1"].map(reaches));
    const unknown = await Promise.all(
      ["transactions", "payments"].map((name) => reaches(`/${name}/${NOBODYS}`)),
    );
    return statuses.every((status) => status === 200) && unknown.every((status) => status === 404);
  });
  return { api, died: () => endOf(child), stop: () => stop(child) };
}

async function endOf(child: ChildProcess): Promise<void> {
  await until("the replica is gone", () => child.exitCode !== null || child.signalCode !== null, {
    timeoutMs: goneMsMax,
  });
}

async function stop(child: ChildProcess): Promise<void> {
  child.kill("SIGTERM");
  await endOf(child);
}
