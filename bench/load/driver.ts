import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { openSync } from "node:fs";
import { fileURLToPath } from "node:url";
import type { FromLoad, LoadRequest, LoadResult, Target, ToLoad } from "./protocol.ts";

export interface LoadDriver {
  readonly pid: number;
  /** The two hooks are called at the edges of the measured time; an exact run waits for the first one's end. */
  run(request: LoadRequest, onMeasuring: () => unknown, onMeasured: () => unknown): Promise<LoadResult>;
  stop(): void;
  /** Stops, but lets it close what it has open first. */
  close(): Promise<void>;
}

export interface LoadOptions {
  /** Where its output goes; default ours. */
  readonly logFile?: string;
  readonly nodeFlags?: readonly string[];
}

const CLOSE_MS_MAX = 90_000;

/** Starts a load process on a target. It ends with us. */
export async function startLoad(
  target: Target,
  { logFile, nodeFlags = [] }: LoadOptions = {},
): Promise<LoadDriver> {
  const script = fileURLToPath(new URL("./load.ts", import.meta.url));
  const log = logFile === undefined ? "inherit" : openSync(logFile, "a");
  const child = fork(script, {
    execArgv: [...nodeFlags],
    serialization: "advanced",
    stdio: ["ignore", log, log, "ipc"],
  });
  const opened = next(child, () => undefined);
  tell(child, { kind: "open", target });
  const answer = await opened;
  if (answer.kind === "failed") {
    child.kill();
    throw new Error(`the load process could not open ${target.kind}: ${answer.message}`);
  }
  return {
    pid: child.pid ?? 0,
    async run(request, onMeasuring, onMeasured) {
      const began = Promise.withResolvers<never>();
      const begin = async () => {
        await onMeasuring();
        if (request.isExact) tell(child, { kind: "go" });
      };
      const ended = next(child, (message) => {
        if (message.kind === "measuring") begin().catch(began.reject);
        if (message.kind === "measured") onMeasured();
      });
      tell(child, { kind: "run", request });
      const message = await Promise.race([ended, began.promise]);
      if (message.kind !== "result") throw new Error(`the load process answered ${JSON.stringify(message)}`);
      return message.result;
    },
    stop: () => child.kill(),
    async close() {
      const ended = once(child, "exit", { signal: AbortSignal.timeout(CLOSE_MS_MAX) });
      tell(child, { kind: "close" });
      await ended.finally(() => child.kill("SIGKILL"));
    },
  };
}

function tell(child: ChildProcess, message: ToLoad): void {
  child.send(message);
}

/** The message that ends what was asked for; those on the way there go to `onStage`. */
function next(child: ChildProcess, onStage: (message: FromLoad) => void): Promise<FromLoad> {
  return new Promise((resolve, reject) => {
    const onMessage = (message: FromLoad) => {
      if (message.kind === "measuring" || message.kind === "measured") onStage(message);
      else settle(() => resolve(message));
    };
    const onExit = (code: number | null) =>
      settle(() => reject(new Error(`the load process ended: ${code}`)));
    const settle = (then: () => void) => {
      child.off("message", onMessage);
      child.off("exit", onExit);
      then();
    };
    child.on("message", onMessage);
    child.on("exit", onExit);
  });
}
