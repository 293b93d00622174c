import { existsSync, readFileSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { parseAllDocuments } from "yaml";
import { type Config, loadConfig } from "../../lib/config.ts";
import type { Setting } from "../../lib/setting-kinds.ts";
import { SETTINGS } from "../../lib/settings.ts";

/** What the tests of Dockerfile, docker-compose.yml, k8s/ and monitoring/ share. */

export const root = resolve(__dirname, "../..");

/** Everything in a YAML file, anchors and merges resolved. A key that stands twice is an error. */
export function readYaml<Document>(path: string): Document[] {
  return parseAllDocuments(readFileSync(join(root, path), "utf8"), { merge: true }).map((document) => {
    if (document.errors[0]) throw new Error(`${path}: ${document.errors[0].message}`);
    return document.toJS() as Document;
  });
}

/** Names in this environment that are no setting; <name>_FILE is one of a secret. */
export function unknownSettings(env: Readonly<Record<string, string>>): string[] {
  const settings: Readonly<Record<string, Setting<unknown>>> = SETTINGS;
  return Object.keys(env).filter((name) => {
    const fileOf = name.endsWith("_FILE") ? settings[name.slice(0, -"_FILE".length)] : undefined;
    return settings[name] === undefined && fileOf?.secret !== true;
  });
}

/** The configuration that a container with this environment runs on, without the secrets that it reads from files. */
export function configOf(env: Readonly<Record<string, string>>): Config {
  return loadConfig(Object.fromEntries(Object.entries(env).filter(([name]) => !name.endsWith("_FILE"))));
}

/** How long a process may take from SIGTERM to its end: its drain, and what scripts/serve.ts adds for closing. */
export const stopMsMax = (config: Config) => config.SHUTDOWN_TIMEOUT_MS + 5_000;

export interface Imports {
  /** Files of ours, from the root. */
  readonly files: ReadonlySet<string>;
  /** Names of packages. */
  readonly packages: ReadonlySet<string>;
}

/** Whatever these files import at run time, and what that imports. */
export function importsOf(entries: readonly string[]): Imports {
  const [files, packages] = [new Set<string>(), new Set<string>()];
  const queue = entries.map((entry) => join(root, entry));
  for (let file = queue.pop(); file !== undefined; file = queue.pop()) {
    if (files.has(relative(root, file))) continue;
    files.add(relative(root, file));
    for (const name of importedBy(readFileSync(file, "utf8"))) {
      if (name.startsWith(".")) queue.push(join(dirname(file), name));
      else if (!name.startsWith("node:")) packages.add(packageOf(name));
    }
  }
  return { files, packages };
}

/** Types are gone at run time, and so is an import of nothing else. */
function importedBy(source: string): string[] {
  const statements = source.matchAll(
    /^(?:import|export)\s(?!type\s)(?:[^;"]*?\sfrom\s)?"([^"]+)"|\bimport\("([^"]+)"\)/gm,
  );
  return [...statements].map(([, fixed, dynamic]) => fixed ?? dynamic ?? "");
}

const packageOf = (name: string) => name.split("/", name.startsWith("@") ? 2 : 1).join("/");

export const exists = (path: string) => existsSync(join(root, path));
