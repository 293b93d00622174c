import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import {
  addNodes,
  budgets,
  drain,
  dryRun,
  refusesPrivilege,
  rollOut,
  spreads,
  update,
} from "./kubernetes/checks.ts";
import { startControlPlane } from "./kubernetes/control-plane.ts";
import { findKubernetes } from "./kubernetes/programs.ts";
import { type Lifecycle, runLifecycle } from "./lifecycle.ts";
import { OVERLAYS } from "./manifests.ts";

/**
 * npm run k8s:check: the overlays of k8s/ against a real Kubernetes API server, and a roll-out, an update, evictions and a
 * drain by its real controllers and scheduler, on nodes that only pretend to run containers. Needs Go, which builds
 * Kubernetes into .stack at the first run.
 */
const overlays = fileURLToPath(new URL("../k8s/overlays", import.meta.url));
const STOP_MS_MAX = 60_000;
const REPLICAS_MIN = 2;
const progress = (line: string) => console.log(`k8s:check: ${line}`);

void runLifecycle({ program: "k8s:check", start: check, stopTimeoutMs: STOP_MS_MAX }).then(() =>
  process.kill(process.pid, "SIGTERM"),
);

async function check(lifecycle: Lifecycle): Promise<void> {
  const programs = await findKubernetes(resolve(".stack"), progress);
  const folder = mkdtempSync(join(tmpdir(), "holdfast-kubernetes-"));
  lifecycle.atExit(() => rmSync(folder, { recursive: true, force: true }));
  const plane = await startControlPlane(programs, folder, lifecycle);
  for (const overlay of OVERLAYS)
    progress(`${overlay}, server dry-run: ${dryRun(plane, join(overlays, overlay))}`);
  progress(`nodes: ${addNodes(plane)}`);
  progress(`production, roll-out: ${await rollOut(plane, join(overlays, "production"), REPLICAS_MIN)}`);
  progress(`pod security: ${refusesPrivilege(plane)}`);
  progress(`spread: ${spreads(plane)}`);
  progress(`budget: ${await budgets(plane)}`);
  progress(`update: ${await update(plane)}`);
  progress(`drain: ${await drain(plane)}`);
  progress("all is well");
}
