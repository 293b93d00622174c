import { existsSync, mkdirSync, renameSync, rmSync } from "node:fs";
import { join, resolve } from "node:path";
import type { ClaimRequest } from "./claim.ts";
import { draftBeside } from "./draft.ts";
import { termSteps } from "./guard.ts";
import { findJava } from "./kafka-libs.ts";
import { type OwnedBy, type OwnPart, PartFailedError, PartUnavailableError, type Progress } from "./part.ts";
import { freePort, PortTakenError } from "./ports.ts";
import { findOnPath, lastLine, run } from "./process.ts";
import { openServer, type ServerSpec, stopProcess } from "./server.ts";

const zipkinVersion = "3.6.1";

export interface ZipkinOptions {
  /** Where Zipkin's jar is kept. */
  readonly stackDir: string;
  /** Holds the log and the claim; Zipkin keeps spans in memory. */
  readonly dataDir: string;
  readonly port: number | "auto";
  readonly ownedBy?: OwnedBy;
  readonly progress?: Progress;
}

/** Starts a Zipkin on 127.0.0.1, downloading it by Maven the first time. Spans go to <url>/api/v2/spans. */
export async function startZipkin(options: ZipkinOptions): Promise<OwnPart> {
  const java = await findJava("zipkin");
  const jar = await findZipkin(resolve(options.stackDir), options.progress);
  const dataDir = resolve(options.dataDir);
  mkdirSync(dataDir, { recursive: true });
  // Nothing is kept: "auto" is always a new one.
  const port = options.port === "auto" || options.port === 0 ? await freePort() : options.port;
  const marker = `--armeria.ports[0].port=${port} `;
  const claim: ClaimRequest = {
    part: "zipkin",
    file: join(dataDir, `claim-${port}.json`),
    marker,
    port,
    settings: "",
    ownedBy: options.ownedBy ?? "process",
    stop: (pid) => stopProcess(pid, marker, termSteps),
  };
  return openServer(claim, async () => serverSpec({ java, jar, port, claim, dataDir }));
}

interface Given extends Pick<ServerSpec, "port" | "claim"> {
  readonly java: string;
  readonly jar: string;
  readonly dataDir: string;
}

function serverSpec({ java, jar, port, claim, dataDir }: Given): ServerSpec {
  const logFile = join(dataDir, "zipkin.log");
  const url = `http://127.0.0.1:${port}`;
  const jvm = ["-Xmx128m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"];
  // Its own QUERY_PORT would be open to everybody. The last option only closes the marker.
  const place = ["ip=127.0.0.1", `port=${port}`, "protocols[0]=http"].map(
    (one) => `--armeria.ports[0].${one}`,
  );
  return {
    name: "zipkin",
    url,
    port,
    claim,
    logFile,
    steps: termSteps,
    startMsMax: 120_000,
    launch: () => ({ command: java, args: [...jvm, "-jar", jar, ...place] }),
    isReady: () => isUp(url),
    failure: (log) => {
      if (log.includes("Address already in use")) return new PortTakenError("ZIPKIN_PORT", port);
      return new PartFailedError(
        "zipkin",
        `did not start: ${lastLine(log, /Exception|ERROR/)} (log: ${logFile})`,
      );
    },
  };
}

async function isUp(url: string): Promise<boolean> {
  try {
    return (await fetch(`${url}/health`, { signal: AbortSignal.timeout(2_000) })).ok;
  } catch {
    return false;
  }
}

/** Zipkin's jar below <stackDir>, fetched by Maven the first time. */
async function findZipkin(stackDir: string, progress?: Progress): Promise<string> {
  const folder = join(stackDir, "zipkin");
  const name = `zipkin-server-${zipkinVersion}-exec.jar`;
  const jar = join(folder, name);
  if (existsSync(jar)) return jar;
  const maven = findOnPath("mvn");
  if (maven === undefined) {
    const reason = `needs Maven to download Zipkin ${zipkinVersion} (mvn not found on PATH)`;
    throw new PartUnavailableError("zipkin", reason);
  }
  progress?.(`zipkin: downloading Zipkin ${zipkinVersion} from Maven (135 MB) …`);
  mkdirSync(folder, { recursive: true });
  const draft = draftBeside(jar);
  try {
    await download(maven, draft);
    renameSync(join(draft, name), jar);
  } finally {
    rmSync(draft, { recursive: true, force: true });
  }
  return jar;
}

async function download(maven: string, folder: string): Promise<void> {
  const artifact = `io.zipkin:zipkin-server:${zipkinVersion}:jar:exec`;
  const plugin = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy";
  const args = ["-q", "-B", plugin, `-Dartifact=${artifact}`, `-DoutputDirectory=${folder}`];
  const result = await run(maven, args, { timeoutMs: 600_000 });
  if (result.code === 0) return;
  const cause = result.output.split("\n").find((line) => line.includes("ERROR")) ?? lastLine(result.output);
  throw new PartUnavailableError("zipkin", `Maven could not download Zipkin: ${cause.trim()}`);
}
