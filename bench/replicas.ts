import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { openSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { DemoFile } from "../scripts/demo/demo-file.ts";
import { freePort } from "../scripts/parts/ports.ts";
import { exists, SERVICE_FLAGS, waitFor } from "../scripts/parts/process.ts";
import { existingServices } from "../scripts/serve.ts";

export interface Replicas {
  /** Addresses of their gateways. */
  readonly apis: readonly string[];
  readonly pids: readonly number[];
  stop(): Promise<void>;
}

export const NO_REPLICAS: Replicas = { apis: [], pids: [], stop: async () => undefined };

interface Started {
  readonly demo: DemoFile;
  readonly dataDir: string;
  readonly logFile: string;
  readonly env: NodeJS.ProcessEnv;
}

const READY_MS_MAX = 180_000;
const STOP_MS_MAX = 40_000;

/** So many more processes of each service, beside those that `npm run stack` has started. They end with us. */
export async function startReplicas(started: Started, count: number): Promise<Replicas> {
  const children: ChildProcess[] = [];
  const apis: string[] = [];
  for (let replica = 0; replica < count; replica += 1) {
    for (const service of existingServices()) {
      const [port, internalPort] = [await freePort(), await freePort()];
      const ports = { PORT: String(port), INTERNAL_PORT: String(internalPort) };
      children.push(
        spawnReplica(started, { ...ports, SERVICES: service, NODE_ID: `${service}-${replica + 2}` }),
      );
      if (service === "gateway") apis.push(Object.assign(new URL(started.demo.api), { port }).href);
    }
  }
  await Promise.all(children.map(ready));
  return {
    apis,
    pids: children.flatMap(({ pid }) => pid ?? []),
    async stop() {
      for (const child of children) child.kill("SIGTERM");
      const ended = () => children.every(({ pid = 0 }) => !exists(pid));
      if (!(await waitFor(ended, STOP_MS_MAX))) for (const child of children) child.kill("SIGKILL");
    },
  };
}

function spawnReplica({ demo, dataDir, logFile, env }: Started, own: NodeJS.ProcessEnv): ChildProcess {
  const log = openSync(logFile, "a");
  const keys = join(dataDir, "demo-keys");
  return fork(fileURLToPath(new URL("../scripts/serve.ts", import.meta.url)), {
    execArgv: [...SERVICE_FLAGS],
    stdio: ["ignore", log, log, "ipc"],
    env: {
      ...env,
      DATABASE_URL: demo.databases.order.replace(/_order$/, ""),
      TRANSPORTER: demo.natsUrl,
      KAFKA_BROKERS: demo.kafkaBrokers,
      JWT_KEYS: join(keys, "jwks.json"),
      PERSONAL_DATA_KEYS: join(keys, "personal-data.json"),
      CLUSTER_SECRETS_FILE: join(keys, "cluster-secret"),
      DEMO: "true",
      ...own,
    },
  });
}

async function ready(child: ChildProcess): Promise<void> {
  const ended = once(child, "exit").then(([code]) => {
    throw new Error(`a replica ended with ${code} before it was ready`);
  });
  ended.catch(() => undefined);
  const signal = AbortSignal.timeout(READY_MS_MAX);
  await Promise.race([once(child, "message", { signal }), ended]);
}
