import { createHash } from "node:crypto";
import { readdir, readFile } from "node:fs/promises";
import { basename, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

/** One migration as it lies in its folder: NNNN_name.up.sql with NNNN_name.down.sql beside it. */
export interface MigrationFile {
  /** <folder>/NNNN_name: what the database remembers. */
  readonly name: string;
  readonly up: string;
  /** Undefined when there is no way back. */
  readonly down: string | undefined;
  /** SHA-256 of the up file, so that an edit after it was applied is noticed. */
  readonly checksum: string;
}

const here = fileURLToPath(new URL(".", import.meta.url));
const upFile = /^(\d{4}_[a-z0-9_]+)\.up\.sql$/;

/** Reads the migrations of the folders, in the order in which they are applied. A folder that is not there has none. */
export async function readMigrations(folders: readonly string[]): Promise<MigrationFile[]> {
  const all: MigrationFile[] = [];
  for (const folder of folders) {
    const path = resolve(here, folder);
    const files = (await readFolder(path)).sort();
    for (const file of files) {
      const stem = upFile.exec(file)?.[1];
      if (stem !== undefined) all.push(await readMigration(path, stem, files));
    }
  }
  return all;
}

async function readFolder(path: string): Promise<string[]> {
  try {
    return await readdir(path);
  } catch (error) {
    // Not `instanceof Error`: within jest, Node's own errors come from another realm.
    if (typeof error === "object" && error !== null && "code" in error && error.code === "ENOENT") return [];
    throw error;
  }
}

async function readMigration(path: string, stem: string, files: readonly string[]): Promise<MigrationFile> {
  const up = await readFile(join(path, `${stem}.up.sql`), "utf8");
  const downFile = `${stem}.down.sql`;
  const down = files.includes(downFile) ? await readFile(join(path, downFile), "utf8") : undefined;
  const checksum = createHash("sha256").update(up).digest("hex");
  return { name: `${basename(path)}/${stem}`, up, down, checksum };
}
