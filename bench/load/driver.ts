import { type ChildProcess, fork } from "node:child_process";
import { fileURLToPath } from "node:url";
import type { FromLoad, LoadRequest, LoadResult, Target, ToLoad } from "./protocol.ts";

export interface LoadDriver {
  readonly pid: number;
  /** The two hooks are called at the edges of the measured time; an exact run waits for the first one's end. */
  run(request: LoadRequest, onMeasuring: () => unknown, onMeasured: () => unknown): Promise<LoadResult>;
  stop(): void;
}

/** Starts a load process on a target. It ends with us. */
export async function startLoad(target: Target): Promise<LoadDriver> {
  const script = fileURLToPath(new URL("./load.ts", import.meta.url));
  const child = fork(script, { execArgv: [], serialization: "advanced" });
  const opened = next(child, () => undefined);
  tell(child, { kind: "open", target });
  await opened;
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
