import { chmodSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { draftBeside } from "../parts/draft.ts";
import { PartFailedError, PartUnavailableError, type Progress } from "../parts/part.ts";
import { findOnPath, lastLine, run } from "../parts/process.ts";

/** Kubernetes' control plane without a container engine: its own programs, built by Go from the modules of their releases. */

const VERSION = "1.34.2";
const ETCD = "v3.6.5";
const KWOK = "v0.7.0";
const BUILD_MS_MAX = 3 * 3_600_000;

const KUBERNETES = ["kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubectl"] as const;
export type Program = (typeof KUBERNETES)[number] | "etcd" | "kwok";
export type Programs = Readonly<Record<Program, string>>;

const PROGRAMS: readonly Program[] = [...KUBERNETES, "etcd", "kwok"];

/** Built once into <stackDir>: some eight minutes on two idle cores, and 8 GB of Go's caches. */
export async function findKubernetes(stackDir: string, progress?: Progress): Promise<Programs> {
  const folder = join(stackDir, `kubernetes-${VERSION}`);
  mkdirSync(folder, { recursive: true });
  const missing = PROGRAMS.filter((name) => !existsSync(join(folder, name)));
  if (missing.length > 0) await buildAll(folder, missing, progress);
  return Object.fromEntries(PROGRAMS.map((name) => [name, join(folder, name)])) as Programs;
}

async function buildAll(folder: string, names: readonly Program[], progress?: Progress): Promise<void> {
  const go = findOnPath("go");
  if (go === undefined)
    throw new PartUnavailableError("kubernetes", "needs Go to build it (go not found on PATH)");
  const draft = draftBeside(join(folder, "build"));
  mkdirSync(draft, { recursive: true });
  try {
    for (const name of names) {
      progress?.(`building ${name} …`);
      const args = await recipeOf(name, go, draft);
      await must(go, ["build", "-o", join(draft, name), ...args], draft);
      chmodSync(join(draft, name), 0o755);
      // A copy of it elsewhere on this disk: it appears whole.
      await must("mv", [join(draft, name), join(folder, name)], draft);
    }
  } finally {
    rmSync(draft, { recursive: true, force: true });
  }
}

/** Writes the module that it is built in; answers what go build is to be told. */
async function recipeOf(name: Program, go: string, draft: string): Promise<readonly string[]> {
  if (name === "etcd")
    return required(go, draft, "go.etcd.io/etcd/server/v3", ETCD, "go.etcd.io/etcd/server/v3");
  if (name === "kwok") return required(go, draft, "sigs.k8s.io/kwok", KWOK, "sigs.k8s.io/kwok/cmd/kwok");
  // Its go.mod replaces its own parts by folders beside it; published they have a version each.
  const { output } = await must(go, ["mod", "download", "-json", `k8s.io/kubernetes@v${VERSION}`], draft);
  const { Dir: source } = JSON.parse(output.slice(output.indexOf("{"))) as { Dir: string };
  const module = readFileSync(join(source, "go.mod"), "utf8")
    .replace(/^module .*/m, "module build")
    .replaceAll(/=> \.\/staging\/src\/(\S+)/g, `=> $1 v0.${VERSION.slice(2)}`);
  writeFileSync(join(draft, "go.mod"), `${module}\nrequire k8s.io/kubernetes v${VERSION}\n`);
  writeFileSync(join(draft, "go.sum"), readFileSync(join(source, "go.sum")));
  const [major, minor] = VERSION.split(".");
  const facts = { gitVersion: `v${VERSION}`, gitMajor: major, gitMinor: minor };
  const flags = Object.entries(facts).map(
    ([fact, value]) => `-X k8s.io/component-base/version.${fact}=${value}`,
  );
  return ["-ldflags", `-s -w ${flags.join(" ")}`, `k8s.io/kubernetes/cmd/${name}`];
}

async function required(go: string, draft: string, module: string, version: string, main: string) {
  writeFileSync(join(draft, "go.mod"), "module build\n");
  rmSync(join(draft, "go.sum"), { force: true });
  await must(go, ["get", `${module}@${version}`], draft);
  return ["-ldflags", "-s -w", main];
}

async function must(program: string, args: readonly string[], cwd: string) {
  const env = { ...process.env, CGO_ENABLED: "0", GOFLAGS: "-buildvcs=false -mod=mod" };
  const result = await run(program, args, { cwd, env, timeoutMs: BUILD_MS_MAX });
  if (result.code !== 0)
    throw new PartFailedError("kubernetes", `${program} ${args[0]}: ${lastLine(result.output)}`);
  return result;
}
