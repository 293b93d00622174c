import { chmodSync, existsSync, mkdirSync, readdirSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { draftBeside } from "./draft.ts";
import { PartUnavailableError, type Progress } from "./part.ts";
import { findOnPath, lastLine, run } from "./process.ts";

export interface PrometheusPrograms {
  readonly prometheus: string;
  readonly promtool: string;
  /** Debian's program looks for its pages where only an installation puts them: without one it has its API alone. */
  readonly hasPages: boolean;
}

const NAMES = ["prometheus", "promtool"] as const;
const DEBIAN_PAGES = "/usr/share/prometheus/web";

/** Prometheus on PATH, else the one unpacked before, else from Debian's package, which is not installed. */
export async function findPrometheus(stackDir: string, progress?: Progress): Promise<PrometheusPrograms> {
  const folder = join(stackDir, "prometheus");
  const found = programsIn(undefined) ?? programsIn(folder);
  if (found !== undefined) return found;
  const draft = draftBeside(folder);
  mkdirSync(draft, { recursive: true });
  try {
    const failure = await unpackFromDebian(draft, progress);
    if (failure !== undefined)
      throw new PartUnavailableError(
        "prometheus",
        `needs prometheus on PATH, or Debian's apt-get (${failure})`,
      );
    publish(draft, folder);
  } finally {
    rmSync(draft, { recursive: true, force: true });
  }
  const unpacked = programsIn(folder);
  if (unpacked === undefined) throw new PartUnavailableError("prometheus", "Debian's package has changed");
  return unpacked;
}

function programsIn(folder: string | undefined): PrometheusPrograms | undefined {
  const [prometheus, promtool] = NAMES.map((name) => findOnPath(name, folder));
  if (prometheus === undefined || promtool === undefined) return undefined;
  return { prometheus, promtool, hasPages: folder === undefined || existsSync(DEBIAN_PAGES) };
}

/** Answers why it could not. */
async function unpackFromDebian(draft: string, progress?: Progress): Promise<string | undefined> {
  const [apt, dpkg] = [findOnPath("apt-get"), findOnPath("dpkg-deb")];
  if (apt === undefined || dpkg === undefined) return "apt-get not found on PATH";
  progress?.("prometheus: downloading Debian's package (19 MB) …");
  // Where the machine's lists of packages are missing or old they are fetched beside it: nothing of its own changes.
  const apart = [
    "-o",
    `Dir::State::lists=${join(draft, "lists")}`,
    "-o",
    `Dir::Cache=${join(draft, "cache")}`,
  ];
  const attempts = [
    [["download", "prometheus"]],
    [
      [...apart, "update"],
      [...apart, "download", "prometheus"],
    ],
  ];
  mkdirSync(join(draft, "lists", "partial"), { recursive: true });
  mkdirSync(join(draft, "cache", "archives", "partial"), { recursive: true });
  let reason = "";
  for (const commands of attempts) {
    reason = await runAll(apt, commands, draft);
    if (reason === "") break;
  }
  if (reason !== "") return `apt-get: ${reason}`;
  const archive = readdirSync(draft).find((name) => name.endsWith(".deb"));
  if (archive === undefined) return "apt-get left no package";
  return (await runAll(dpkg, [["-x", archive, "."]], draft)) || undefined;
}

/** Answers what the first one says that fails, or nothing. */
async function runAll(program: string, commands: readonly string[][], cwd: string): Promise<string> {
  for (const args of commands) {
    // As root apt would switch to a user that may not write here.
    const options = program.endsWith("apt-get") ? ["-q", "-o", "APT::Sandbox::User=root"] : [];
    const { code, output } = await run(program, [...options, ...args], { cwd, timeoutMs: 180_000 });
    if (code !== 0) return lastLine(output, /^E:/);
  }
  return "";
}

/** The folder appears in one step, whole or not at all; whoever was first has it. */
function publish(draft: string, folder: string): void {
  const ready = draftBeside(`${folder}-programs`);
  mkdirSync(ready);
  try {
    for (const name of NAMES) {
      const file = join(draft, "usr", "bin", name);
      if (!existsSync(file)) return;
      chmodSync(file, 0o755);
      renameSync(file, join(ready, name));
    }
    if (!existsSync(folder)) renameSync(ready, folder);
  } finally {
    rmSync(ready, { recursive: true, force: true });
  }
}
