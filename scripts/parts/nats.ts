import { mkdirSync } from "node:fs";
import { connect } from "node:net";
import { join, resolve } from "node:path";
import type { ClaimRequest } from "./claim.ts";
import { termSteps } from "./guard.ts";
import { findNatsServer } from "./nats-binary.ts";
import { type OwnedBy, type OwnPart, PartFailedError, type Progress } from "./part.ts";
import { freePort, PortTakenError, resolvePort } from "./ports.ts";
import { lastLine } from "./process.ts";
import { openServer, type ServerSpec, stopProcess } from "./server.ts";

export interface NatsOptions {
  /** Where downloads are kept. */
  readonly stackDir: string;
  /** Holds the log and the claim; NATS itself keeps nothing. Default: <stackDir>/nats. */
  readonly dataDir?: string;
  readonly port: number | "auto";
  /** More options of nats-server. */
  readonly args?: readonly string[];
  readonly ownedBy?: OwnedBy;
  readonly progress?: Progress;
}

/** Starts a NATS server on 127.0.0.1, looked for on PATH and in <stackDir>, else downloaded. */
export async function startNats(options: NatsOptions): Promise<OwnPart> {
  const program = await findNatsServer(resolve(options.stackDir), options.progress);
  const dataDir = resolve(options.dataDir ?? join(options.stackDir, "nats"));
  mkdirSync(dataDir, { recursive: true });
  // Nothing is kept, so servers on different ports are strangers: each has its own claim, and "auto" is a new one.
  const port = options.port === "auto" || options.port === 0 ? await freePort() : options.port;
  const marker = `--addr 127.0.0.1 --port ${port} `;
  const claim: ClaimRequest = {
    part: "nats",
    file: join(dataDir, `claim-${port}.json`),
    marker,
    port,
    settings: "",
    ownedBy: options.ownedBy ?? "process",
    stop: (pid) => stopProcess(pid, marker, termSteps),
  };
  const logFile = join(dataDir, "nats.log");
  return openServer(claim, async (running) => {
    if (running === undefined) await resolvePort("NATS_PORT", port);
    return serverSpec({ program, args: options.args ?? [], port, claim, logFile });
  });
}

interface Given extends Pick<ServerSpec, "port" | "claim" | "logFile"> {
  readonly program: string;
  readonly args: readonly string[];
}

function serverSpec({ program, args, port, claim, logFile }: Given): ServerSpec {
  return {
    name: "nats",
    url: `nats://127.0.0.1:${port}`,
    port,
    claim,
    logFile,
    steps: termSteps,
    startMsMax: 20_000,
    // The last option only closes the marker: a port must not be taken for a longer one that begins alike.
    launch: () => ({
      command: program,
      args: ["--addr", "127.0.0.1", "--port", String(port), "--logtime", ...args],
    }),
    isReady: () => greets(port),
    failure: (log) => {
      if (/address already in use/.test(log)) return new PortTakenError("NATS_PORT", port);
      return new PartFailedError(
        "nats",
        `did not start: ${lastLine(log, /\[FTL\]|error/i)} (log: ${logFile})`,
      );
    },
  };
}

/** A NATS server speaks first: it is up when it sends its INFO line. */
function greets(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host: "127.0.0.1", port });
    const answer = (up: boolean): void => {
      socket.destroy();
      resolve(up);
    };
    socket.setTimeout(1_000, () => answer(false));
    socket.once("error", () => answer(false));
    socket.once("close", () => answer(false));
    socket.once("data", (data) => answer(data.toString("latin1").startsWith("INFO ")));
  });
}
