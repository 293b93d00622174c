import { chownSync, existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { blockingFolder, openFolder } from "./account.ts";
import { draftBeside } from "./draft.ts";
import { PartFailedError, PartUnavailableError, type Progress } from "./part.ts";
import type { PostgresBinaries } from "./postgres-binaries.ts";
import { isTaken, lastLine, run, runs } from "./process.ts";

/** Makes the cluster when there is none. It appears in one step, so that a killed initdb leaves no half of one. */
export async function ensureCluster(
  cluster: string,
  binaries: PostgresBinaries,
  progress?: Progress,
): Promise<void> {
  if (existsSync(join(cluster, "PG_VERSION"))) return requireVersion(cluster, binaries);
  const draft = draftBeside(cluster);
  mkdirSync(draft, { recursive: true, mode: 0o700 });
  const { account } = binaries;
  if (account !== undefined) chownSync(draft, account.uid, account.gid);
  progress?.("postgres: creating the database cluster …");
  // The built-in C.UTF-8 locale sorts alike on every machine; trust is for 127.0.0.1 only, where it listens.
  const args = ["-D", draft, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-instructions"];
  args.push("--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8");
  const result = await run(binaries.initdb, args, {
    cwd: "/",
    env: serverEnv(),
    account,
    timeoutMs: 120_000,
  });
  if (result.code !== 0) {
    rmSync(draft, { recursive: true, force: true });
    throw new PartFailedError(
      "postgres",
      `initdb failed: ${lastLine(result.output, /error|fatal|could not/i)}`,
    );
  }
  renameSync(draft, cluster);
}

/** C messages, because a failed start is understood by what it logs; nothing of the caller's own PGHOST, PGDATA, … */
export function serverEnv(): NodeJS.ProcessEnv {
  return { PATH: process.env.PATH, LC_ALL: "C", TZ: "UTC" };
}

/** Creates the part's folder and sees to it that the server's user gets there. */
export function ensureReachable(dataDir: string, { account }: PostgresBinaries): void {
  const created = mkdirSync(dataDir, { recursive: true }) ?? dataDir;
  if (account === undefined) return;
  for (;;) {
    const folder = blockingFolder(dataDir, account);
    if (folder === undefined) return;
    if (openFolder(folder, created)) continue;
    const reason = `user ${account.name}, as whom it runs because root may not, cannot enter ${folder}`;
    const advice = "put the data folder elsewhere (DATA_DIR) or do not run as root";
    throw new PartUnavailableError("postgres", `${reason}; ${advice}`);
  }
}

function requireVersion(cluster: string, binaries: PostgresBinaries): void {
  const version = readFileSync(join(cluster, "PG_VERSION"), "utf8").trim();
  const share = readFileSync(
    join(binaries.postgres, "..", "..", "share", "postgresql", "postgres.bki"),
    "utf8",
  );
  const ours = /^# PostgreSQL (\S+)/.exec(share)?.[1];
  if (ours === undefined || ours === version) return;
  const reason = `${cluster} was made by PostgreSQL ${version}, and ${ours} is installed; move it away to start afresh`;
  throw new PartUnavailableError("postgres", reason);
}

/**
 * A postmaster that was killed leaves postmaster.pid. PostgreSQL goes on when it sees that the process is gone, but
 * takes another program that has the id by now (a container that starts anew hands out the same ones), or a zombie,
 * for a living postmaster. Only then we remove the file. Sessions that outlived the postmaster are safe from this:
 * PostgreSQL finds them by the shared memory that belongs to the folder, too.
 */
export function removeStaleLock(cluster: string, marker: string): void {
  const pid = lockPid(cluster);
  if (pid === undefined || !isTaken(pid) || runs(pid, marker)) return;
  rmSync(join(cluster, "postmaster.pid"), { force: true });
  for (const name of readdirSync(cluster)) {
    if (/^\.s\.PGSQL\.\d+\.lock$/.test(name)) rmSync(join(cluster, name), { force: true });
  }
}

/** Whether the postmaster with this id says that it takes connections (line 8 of postmaster.pid, as pg_ctl reads it). */
export function isReady(cluster: string, pid: number): boolean {
  return lockPid(cluster) === pid && lockLines(cluster)[7]?.trim() === "ready";
}

function lockPid(cluster: string): number | undefined {
  const pid = Number(lockLines(cluster)[0]);
  return Number.isInteger(pid) && pid > 0 ? pid : undefined;
}

function lockLines(cluster: string): string[] {
  try {
    return readFileSync(join(cluster, "postmaster.pid"), "utf8").split("\n");
  } catch {
    return [];
  }
}
