import { type ChildProcess, spawn } from "node:child_process";
import {
  chmodSync,
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DATABASE_NAMES } from "../../lib/settings.ts";
import { freePort } from "../../scripts/parts/ports.ts";
import { nodeProgram } from "../../scripts/parts/process.ts";
import { root } from "../support/deployment.ts";
import { http } from "../support/http.ts";
import { envOf, ofKind, readManifests, type Workload, workloadsOf } from "../support/manifests.ts";
import type { System } from "../support/system.ts";
import { until } from "../support/until.ts";
import type { Shared } from "../support/use-system.ts";

/** Where the pods have their secrets. */
const MOUNT = "/run/secrets/holdfast/";
const manifests = readManifests("dev");
const deployments = workloadsOf(ofKind(manifests, "Deployment")).filter(({ name }) =>
  name.endsWith("-service"),
);

interface Started {
  readonly child: ChildProcess;
  readonly internalPort: number;
  said(): string;
}

/** A process of each Deployment, with the environment of its container and of the image, and with nothing else. */
export function manifestProcesses(shared: () => Shared): void {
  const folder = mkdtempSync(join(tmpdir(), "holdfast-manifests-"));
  const processes = new Map<string, Started>();
  beforeAll(async () => {
    for (const one of deployments) processes.set(one.name, await start(shared().system, folder, one));
  });
  afterAll(async () => {
    const children = [...processes.values()].map(({ child }) => child);
    for (const child of children) child.kill("SIGKILL");
    await until("all are gone", () => children.every(hasEnded));
    rmSync(folder, { recursive: true, force: true });
  });

  test.each(deployments.map(({ name }) => name))(
    "%s comes up as its manifest has it, and ends when it is told to",
    async (name) => {
      const { child, internalPort, said } = processes.get(name) as Started;
      const isReady = async () => {
        if (hasEnded(child)) throw new Error(`it ended with ${child.exitCode}: ${said()}`);
        return (await http(`http://127.0.0.1:${internalPort}/ready`)).status === 200;
      };
      await until(`${name} is ready`, isReady, { timeoutMs: 60_000 });
      child.kill("SIGTERM");
      await until(`${name} has ended`, () => hasEnded(child), { timeoutMs: 40_000 });
      expect({ code: child.exitCode, said: said() }).toEqual({ code: 0, said: "" });
    },
    120_000,
  );
}

async function start(system: System, folder: string, deployment: Workload): Promise<Started> {
  const [internalPort, port] = [await freePort(), await freePort()];
  const env = { ...here(system, folder, deployment), INTERNAL_PORT: `${internalPort}`, PORT: `${port}` };
  const child = spawn(nodeProgram(), commandOfImage(), {
    cwd: root,
    env,
    stdio: ["ignore", "ignore", "pipe"],
  });
  let said = "";
  child.stderr?.on("data", (chunk: Buffer) => {
    said += chunk.toString();
  });
  return { child, internalPort, said: () => said };
}

const hasEnded = ({ exitCode, signalCode }: ChildProcess) => exitCode !== null || signalCode !== null;

const dockerfile = readFileSync(join(root, "Dockerfile"), "utf8");

/** What the image runs, without the program itself. */
function commandOfImage(): string[] {
  const command = /^CMD (\[.*\])$/m.exec(dockerfile)?.[1] ?? "[]";
  return (JSON.parse(command) as string[]).slice(1);
}

function envOfImage(): Record<string, string> {
  const pairs = (/^ENV (.*)$/m.exec(dockerfile)?.[1] ?? "").split(" ").map((pair) => pair.split("="));
  return Object.fromEntries(pairs);
}

/** The same environment on this machine: servers and files have other addresses, and nothing else is different. */
function here(system: System, folder: string, { name, container }: Workload): Record<string, string> {
  const { natsUrl = "", kafkaBrokers = "" } = system.demo;
  const addresses: Record<string, string> = {
    "nats://nats:4222": natsUrl,
    "kafka:9092": kafkaBrokers,
    "/var/lib/holdfast": join(folder, "data"),
  };
  const secrets = secretsOf(system, join(folder, name), name.replace(/-service$/, ""));
  const env = { ...envOfImage(), ...envOf(container, manifests), NODE_ID: `${name}-7d9c5b6f4-x2x7k` };
  return Object.fromEntries(
    Object.entries(env).map(([setting, value]) => [
      setting,
      addresses[value] ?? value.replace(MOUNT, secrets),
    ]),
  );
}

/** The files that the pod's volume has, by the names that docs/deployment.md gives them. */
function secretsOf(system: System, folder: string, service: string): string {
  mkdirSync(folder, { recursive: true });
  const keys = join(system.dataDir, "demo-keys");
  const copies = {
    "cluster-secrets": "cluster-secret",
    "jwks.json": "jwks.json",
    "personal-data.json": "personal-data.json",
  };
  for (const [to, from] of Object.entries(copies)) copyFileSync(join(keys, from), join(folder, to));
  const database = DATABASE_NAMES.find((one) => one === service);
  if (database !== undefined) {
    writeFileSync(join(folder, "database-url"), system.demo.databases[database]);
    chmodSync(join(folder, "database-url"), 0o440);
  }
  return `${folder}/`;
}
