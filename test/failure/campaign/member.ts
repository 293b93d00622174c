import { type ChildProcess, spawn } from "node:child_process";
import { closeSync, openSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { nodeProgram, SERVICE_FLAGS } from "../../../scripts/parts/process.ts";
import { until } from "../../support/until.ts";

const serve = fileURLToPath(new URL("../../../scripts/serve.ts", import.meta.url));
/** As a supervisor or Kubernetes would: at once, and not in a hot loop. */
const restartAfterMs = 200;
const goneMsMax = 60_000;

/** One replica of one service, in a process of its own; whenever that ends, another begins. */
export interface Member {
  readonly name: string;
  readonly pid: number;
  /** How often a process of it has begun. */
  readonly starts: number;
  /** Of processes that ended although nobody killed or stopped them: what they ended with. */
  readonly surprises: readonly string[];
  /** Resolves once its present process has said that it is ready. */
  ready(timeoutMs: number): Promise<void>;
  isReady(): boolean;
  kill(): void;
  freeze(): void;
  thaw(): void;
  /** Ends by SIGTERM, as for a deployment, and waits until the next process is there. */
  replace(): Promise<void>;
  /** Ends it for good. Answers its exit code. */
  stop(): Promise<string>;
}

export interface MemberOptions {
  readonly name: string;
  readonly env: NodeJS.ProcessEnv;
  readonly logFile: string;
}

const lastLine = (file: string) => readFileSync(file, "utf8").trimEnd().split("\n").at(-1) ?? "";

export function startMember({ name, env, logFile }: MemberOptions): Member {
  let child: ChildProcess;
  let [starts, isReady, stopping, expected, frozen] = [0, false, false, false, false];
  const surprises: string[] = [];
  const begin = () => {
    const log = openSync(logFile, "a");
    [isReady, expected, frozen] = [false, false, false];
    starts += 1;
    // The channel is how it hears of our death: it leaves with us.
    const stdio = ["ignore", log, log, "ipc"] as const;
    const begun = spawn(nodeProgram(), [...SERVICE_FLAGS, serve], { env, detached: true, stdio: [...stdio] });
    closeSync(log);
    begun.on("message", () => {
      isReady = true;
    });
    begun.once("exit", (code, signal) => {
      isReady = false;
      if (!expected)
        surprises.push(
          `${name} ended with ${signal ?? `code ${code}`}; its last words: ${lastLine(logFile)}`,
        );
      if (!stopping) setTimeout(() => stopping || begin(), restartAfterMs);
    });
    child = begun;
  };
  begin();
  const signal = (what: NodeJS.Signals) => {
    expected ||= what === "SIGKILL" || what === "SIGTERM";
    child.kill(what);
  };
  const gone = (process: ChildProcess) => process.exitCode !== null || process.signalCode !== null;
  const thaw = () => {
    if (frozen) signal("SIGCONT");
    frozen = false;
  };
  const end = async (ended: ChildProcess) => {
    thaw();
    expected = true;
    ended.kill("SIGTERM");
    const hasEnded = until(`${name} has ended`, () => gone(ended), { timeoutMs: goneMsMax });
    await hasEnded.catch(() => ended.kill("SIGKILL"));
    await until(`${name} is gone`, () => gone(ended));
  };
  return {
    name,
    surprises,
    get pid() {
      return child.pid ?? 0;
    },
    get starts() {
      return starts;
    },
    isReady: () => isReady,
    async ready(timeoutMs) {
      await until(`${name} is ready`, () => isReady, { timeoutMs });
    },
    kill: () => signal("SIGKILL"),
    freeze() {
      frozen = true;
      signal("SIGSTOP");
    },
    thaw,
    async replace() {
      const before = starts;
      await end(child);
      await until(`${name} begins anew`, () => starts > before && isReady, { timeoutMs: goneMsMax });
    },
    async stop() {
      stopping = true;
      const last = child;
      if (!gone(last)) await end(last);
      return String(last.exitCode ?? last.signalCode);
    },
  };
}
