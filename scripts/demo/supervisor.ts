import { type ChildProcess, spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import type { ServiceName } from "../../lib/settings.ts";
import { SERVICE_FLAGS } from "../parts/process.ts";

export interface SupervisorOptions {
  readonly services: readonly ServiceName[];
  readonly envOf: (name: ServiceName) => NodeJS.ProcessEnv;
  readonly report: (line: string) => void;
  /** A process was replaced: its id is another one now. */
  readonly onReplaced: () => void;
  readonly readyMsMax: number;
  /** A process that has not ended this long after SIGTERM is ended by force. */
  readonly stopMsMax: number;
}

export interface Supervisor {
  pids(): Readonly<Record<string, number>>;
  /** Resolves once each of them has said that it is ready; rejects when one ends before. */
  ready(): Promise<void>;
  /** Stops the gateway, so that nothing new comes in, then all the others. Idempotent. */
  stop(): Promise<void>;
  /** Ends them all without a word, for when there is no time left. */
  kill(): void;
}

interface Child {
  readonly name: ServiceName;
  process: ChildProcess;
  restarts: number;
  timer?: NodeJS.Timeout;
}

const serve = fileURLToPath(new URL("../serve.ts", import.meta.url));
const backOffMinMs = 100;
const backOffMaxMs = 1_000;
/** Whoever ran this long has recovered: its next death is a new one. */
const settledMs = 30_000;

/** Runs each service in a process of its own and, once they were ready, starts anew the one that dies. */
export function supervise(options: SupervisorOptions): Supervisor {
  let stopping = false;
  const restart = (child: Child, why: string) => {
    const waitMs = Math.min(backOffMaxMs, backOffMinMs * 2 ** child.restarts);
    options.report(`${child.name} (process ${child.process.pid}) ${why}; starts again in ${waitMs} ms`);
    child.restarts += 1;
    child.timer = setTimeout(() => {
      child.process = spawnChild(child.name);
      options.onReplaced();
      watch(child);
    }, waitMs);
  };
  const watch = (child: Child) => {
    const { process } = child;
    const settled = setTimeout(() => {
      child.restarts = 0;
    }, settledMs);
    const ended = () => {
      clearTimeout(settled);
      const { exitCode, signalCode } = process;
      if (!stopping)
        restart(child, signalCode === null ? `ended with code ${exitCode}` : `was ended by ${signalCode}`);
    };
    if (hasEnded(process)) ended();
    else process.once("exit", ended);
  };
  const spawnChild = (name: ServiceName) => spawnService(name, options.envOf(name));
  const children = options.services.map((name): Child => ({ name, process: spawnChild(name), restarts: 0 }));
  return {
    pids: () => Object.fromEntries(children.map((child) => [child.name, child.process.pid ?? 0])),
    ready: async () => {
      await Promise.all(children.map((child) => firstReady(child, options.readyMsMax)));
      for (const child of children) watch(child);
    },
    stop: async () => {
      stopping = true;
      for (const child of children) clearTimeout(child.timer);
      const stopAll = (some: Child[]) =>
        Promise.all(some.map((child) => stopChild(child, options.stopMsMax)));
      await stopAll(children.filter(isGateway));
      await stopAll(children.filter((child) => !isGateway(child)));
    },
    kill: () => {
      for (const child of children) child.process.kill("SIGKILL");
    },
  };
}

const hasEnded = (process: ChildProcess) => process.exitCode !== null || process.signalCode !== null;
const isGateway = (child: Child) => child.name === "gateway";

/** In a process group of its own: the terminal's Ctrl+C is for us, who stop the services in good order. */
function spawnService(name: ServiceName, env: NodeJS.ProcessEnv): ChildProcess {
  const child = spawn(process.execPath, [...SERVICE_FLAGS, serve], {
    env: { ...env, SERVICES: name },
    detached: true,
    stdio: ["ignore", "pipe", "pipe", "ipc"],
  });
  const prefix = `${name.padEnd(8)} | `;
  for (const [from, to] of [
    [child.stdout, process.stdout],
    [child.stderr, process.stderr],
  ] as const) {
    if (from !== null) createInterface({ input: from }).on("line", (line) => to.write(`${prefix}${line}\n`));
  }
  return child;
}

/** A service that dies before it was ever ready will not do better the next time: the start fails. */
function firstReady(child: Child, timeoutMs: number): Promise<void> {
  const { name, process } = child;
  return new Promise((resolve, reject) => {
    const timer = setTimeout(
      () => reject(new Error(`${name} is not ready after ${timeoutMs} ms`)),
      timeoutMs,
    );
    process.once("message", () => {
      clearTimeout(timer);
      resolve();
    });
    process.once("error", reject);
    process.once("exit", (code, signal) => {
      clearTimeout(timer);
      reject(
        new Error(`${name} ended with ${signal ?? `code ${code}`} before it was ready; see its log above`),
      );
    });
  });
}

/** It has a limit of its own for what is in hand; a process that is frozen does not even see that pass. */
function stopChild({ process }: Child, timeoutMs: number): Promise<void> {
  return new Promise((resolve) => {
    if (hasEnded(process)) {
      resolve();
      return;
    }
    const timer = setTimeout(() => process.kill("SIGKILL"), timeoutMs);
    process.once("exit", () => {
      clearTimeout(timer);
      resolve();
    });
    process.kill("SIGTERM");
  });
}
