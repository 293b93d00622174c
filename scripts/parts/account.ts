import { chmodSync, readFileSync, realpathSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, sep } from "node:path";
import { PartUnavailableError } from "./part.ts";
import type { Account } from "./process.ts";

/**
 * The user PostgreSQL runs as: ourselves (undefined), unless we are root, as in most containers. PostgreSQL refuses
 * to run as root, so it then gets an unprivileged user that exists already: we create none.
 */
export function serverAccount(passwd = "/etc/passwd"): Account | undefined {
  if (process.getuid?.() !== 0) return undefined;
  const accounts = readAccounts(passwd);
  const found = ["postgres", "nobody"].flatMap((name) => accounts.find((one) => one.name === name) ?? []);
  const account = found[0] ?? accounts.find((one) => one.uid >= 1_000);
  if (account === undefined) {
    throw new PartUnavailableError(
      "postgres",
      "does not run as root, and this machine has no other user to run it as",
    );
  }
  return account;
}

function readAccounts(passwd: string): Account[] {
  const lines = readFileSync(passwd, "utf8").split("\n");
  return lines.flatMap((line) => {
    const [name, , uid, gid] = line.split(":");
    // Some systems give "nobody" a negative id, which reads as the same number modulo 2^32; spawn wants the latter.
    const account = { name: name ?? "", uid: Number(uid) >>> 0, gid: Number(gid) >>> 0 };
    return name !== undefined && uid !== undefined && gid !== undefined && account.uid !== 0 ? [account] : [];
  });
}

/** The first folder on the way to a path that the account may not enter, or undefined when it gets there. */
export function blockingFolder(path: string, account: Account): string | undefined {
  const folders: string[] = [];
  for (let folder = path; ; folder = dirname(folder)) {
    folders.unshift(folder);
    if (folder === dirname(folder)) break;
  }
  return folders.find((folder) => {
    const stat = statSync(folder, { throwIfNoEntry: false });
    return stat?.isDirectory() && !mayEnter(stat, account);
  });
}

/**
 * Lets others pass through (not list) a folder of ours, where that is harmless: the part's own folder and
 * what is below it, and temporary ones, which mkdtemp closes to all but root. Never a home. False for any other.
 */
export function openFolder(folder: string, own: string): boolean {
  const temporary = `${realpathSync(tmpdir())}${sep}`;
  const isOwn = folder === own || folder.startsWith(`${own}${sep}`);
  if (!isOwn && !realpathSync(folder).startsWith(temporary)) return false;
  const stat = statSync(folder);
  if (stat.uid !== process.getuid?.()) return false;
  chmodSync(folder, (stat.mode & 0o7777) | 0o011);
  return true;
}

function mayEnter(stat: { uid: number; gid: number; mode: number }, account: Account): boolean {
  if (stat.uid === account.uid) return (stat.mode & 0o100) !== 0;
  if (stat.gid === account.gid) return (stat.mode & 0o010) !== 0;
  return (stat.mode & 0o001) !== 0;
}
