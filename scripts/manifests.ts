import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

/** The overlays of k8s/, and what kustomize makes of them. */

const folder = fileURLToPath(new URL("../k8s", import.meta.url));

export const OVERLAYS = ["dev", "production"] as const;
export type Overlay = (typeof OVERLAYS)[number];

export const renderedFile = (overlay: Overlay) => join(folder, "rendered", `${overlay}.yaml`);

/** Of all sources of an overlay: while it stays the same, so does what is rendered. */
export function digestOf(overlay: Overlay): string {
  const files = globSync(["base/**/*.*", `overlays/${overlay}/*.*`], { cwd: folder }).sort();
  const hash = createHash("sha256");
  for (const file of files) hash.update(`${file}\n${readFileSync(join(folder, file), "utf8")}\n`);
  return hash.digest("hex").slice(0, 16);
}

/** Undefined: there is no kubectl here. @throws Error what kustomize says is wrong */
export function render(overlay: Overlay): string | undefined {
  const args = ["kustomize", join(folder, "overlays", overlay)];
  const { error, status, stdout, stderr } = spawnSync("kubectl", args, { encoding: "utf8" });
  if (error !== undefined && "code" in error && error.code === "ENOENT") return undefined;
  if (error !== undefined) throw error;
  if (status !== 0) throw new Error(stderr.trim());
  return stdout;
}
