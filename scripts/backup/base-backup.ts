import { chownSync, mkdirSync, writeFileSync } from "node:fs";
import { copyFile, lstat, readdir } from "node:fs/promises";
import { join, relative } from "node:path";
import pg from "pg";
import { errorCode } from "../parts/process.ts";

/**
 * A base backup of a PostgreSQL server on this machine, while it works: the low-level way of PostgreSQL's manual
 * (continuous archiving, "Making a Base Backup Using the Low Level API"), as the binaries that npm brings have no
 * pg_basebackup. All databases of a server have one write-ahead log: what comes back is one moment for all of them.
 */
export interface BaseBackup {
  readonly files: number;
  readonly bytes: number;
  /** Whatever was committed before this is in it. */
  readonly endedAt: Date;
}

/** What the manual says to leave out: it is of the running server, or made anew at its start. */
const LEFT_OUT = /^(postmaster\.(pid|opts)|\.s\.PGSQL\..*|backup_label.*|pg_internal\.init|pgsql_tmp.*)$/;
const EMPTIED = [
  "pg_wal",
  "pg_replslot",
  "pg_dynshmem",
  "pg_notify",
  "pg_serial",
  "pg_snapshots",
  "pg_stat_tmp",
  "pg_subtrans",
];

/** @throws what PostgreSQL and the file system throw; the target is of no use then */
export async function baseBackup(adminUrl: string, cluster: string, target: string): Promise<BaseBackup> {
  const client = new pg.Client({ connectionString: adminUrl, application_name: "holdfast-backup" });
  await client.connect();
  try {
    // Temporary, of this session: keeps the log from the beginning of the backup from being removed before we have it.
    await client.query(
      "select pg_create_physical_replication_slot('holdfast_backup_' || pg_backend_pid(), true, true)",
    );
    await client.query("select pg_backup_start('holdfast', true)");
    const copied = await copyFolder(cluster, target, (path) => !EMPTIED.includes(path));
    const { rows } = await client.query<{ label: string; ended: Date }>(
      "select labelfile as label, clock_timestamp() as ended from pg_backup_stop(false)",
    );
    const [stopped] = rows;
    if (stopped === undefined) throw new Error("PostgreSQL did not end the backup");
    // The log up to here makes the files, which were copied at different moments, one.
    const log = await copyFolder(
      join(cluster, "pg_wal"),
      join(target, "pg_wal"),
      (path) => path !== "archive_status",
    );
    await writeLike(cluster, join(target, "backup_label"), stopped.label);
    return { files: copied.files + log.files, bytes: copied.bytes + log.bytes, endedAt: stopped.ended };
  } finally {
    await client.end();
  }
}

interface Copied {
  files: number;
  bytes: number;
}

/** Copies a folder with its owner and rights. Of the folders that `enters` refuses the copy is empty. */
export async function copyFolder(
  from: string,
  to: string,
  enters: (path: string) => boolean = () => true,
): Promise<Copied> {
  const copied: Copied = { files: 0, bytes: 0 };
  const walk = async (folder: string): Promise<void> => {
    const path = relative(from, folder);
    await folderLike(folder, join(to, path));
    if (path !== "" && !enters(path)) return;
    for (const entry of await readdir(folder, { withFileTypes: true })) {
      if (LEFT_OUT.test(entry.name)) continue;
      const source = join(folder, entry.name);
      if (entry.isDirectory()) await walk(source);
      else if (entry.isFile()) await copyOne(source, join(to, path, entry.name), copied);
    }
  };
  await walk(from);
  return copied;
}

async function folderLike(from: string, to: string): Promise<void> {
  const { mode, uid, gid } = await lstat(from);
  mkdirSync(to, { recursive: true, mode: mode & 0o777 });
  owned(to, uid, gid);
}

/** A table may be dropped while we copy: the log knows of that too. */
async function copyOne(from: string, to: string, copied: Copied): Promise<void> {
  try {
    const { uid, gid } = await lstat(from);
    await copyFile(from, to);
    owned(to, uid, gid);
    copied.files += 1;
    copied.bytes += (await lstat(to)).size;
  } catch (error) {
    if (errorCode(error) !== "ENOENT") throw error;
  }
}

async function writeLike(folder: string, file: string, text: string): Promise<void> {
  const { uid, gid } = await lstat(folder);
  writeFileSync(file, text, { mode: 0o600 });
  owned(file, uid, gid);
}

/** As root we run the server as somebody else; anybody else owns the copy as it is. */
function owned(path: string, uid: number, gid: number): void {
  if (process.getuid?.() === 0) chownSync(path, uid, gid);
}
