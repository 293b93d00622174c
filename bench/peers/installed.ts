import { copyFileSync, existsSync, mkdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { lastLine, run } from "../../scripts/parts/process.ts";

/** Other engines are no dependencies of ours: npm puts them beside the other parts, when they are asked for. */
const FOLDER = resolve(".stack", "peers");
const LIST = fileURLToPath(new URL("./package.json", import.meta.url));
const INSTALL_MS_MAX = 300_000;

/** Installs what package.json beside this file names, in just those versions, unless it is there. Answers where. */
export async function installPeers(progress: (line: string) => void): Promise<string> {
  const list = join(FOLDER, "package.json");
  const isThere = existsSync(join(FOLDER, "node_modules", ".package-lock.json"));
  if (isThere && readFileSync(list, "utf8") === readFileSync(LIST, "utf8")) return FOLDER;
  progress(`installing the other engines into ${FOLDER} …`);
  mkdirSync(FOLDER, { recursive: true });
  copyFileSync(LIST, list);
  const args = ["install", "--no-audit", "--no-fund", "--ignore-scripts", "--no-package-lock"];
  const { code, output } = await run("npm", args, { cwd: FOLDER, timeoutMs: INSTALL_MS_MAX });
  if (code !== 0) throw new Error(`npm install in ${FOLDER} failed: ${lastLine(output, /err/i)}`);
  return FOLDER;
}

/** A module of that folder. What it looks like is said by whoever asks, who cannot have its types. */
export function requireFrom<Module>(folder: string, name: string): Module {
  return createRequire(join(folder, "package.json"))(name) as Module;
}

/** The versions that the tables name. */
export function versionOf(name: string): string {
  const { dependencies } = JSON.parse(readFileSync(LIST, "utf8")) as { dependencies: Record<string, string> };
  return dependencies[name] ?? "";
}
