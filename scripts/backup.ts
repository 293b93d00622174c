import { existsSync, mkdirSync, readdirSync } from "node:fs";
import { join, resolve } from "node:path";
import { loadConfig } from "../lib/config.ts";
import { type BaseBackup, baseBackup, copyFolder } from "./backup/base-backup.ts";
import { readDemoFile } from "./demo/demo-file.ts";
import { reportFailure } from "./exit.ts";
import { UsageError } from "./usage-error.ts";

const USAGE = `usage: npm run backup -- FOLDER      copies the databases and keys of the running demo into a folder that is new

The copy is a data folder: DATA_DIR=FOLDER npm start goes on from it. Kafka's data is not in it: npm run stack goes on after
npm run republish. For servers of your own see docs/operations.md.`;

/** npm run backup: exit code 0 done, 1 it failed, 2 wrong usage. */
try {
  const [folder = "", ...rest] = process.argv.slice(2);
  if (folder === "" || folder.startsWith("-") || rest.length > 0) throw new UsageError(USAGE);
  const { files, bytes, endedAt } = await backUp(resolve(loadConfig().DATA_DIR), resolve(folder));
  console.log(
    `backup: ${files} files, ${Math.round(bytes / 1e6)} MB; it holds what was committed until ${endedAt.toISOString()}`,
  );
} catch (error) {
  process.exitCode = reportFailure("backup", error);
}

async function backUp(dataDir: string, target: string): Promise<BaseBackup> {
  const demo = readDemoFile(dataDir);
  const cluster = join(dataDir, "postgres", "cluster");
  if (demo === undefined || !existsSync(cluster))
    throw new UsageError(`no demo runs on the data folder ${dataDir}\n${USAGE}`);
  if (existsSync(target) && readdirSync(target).length > 0)
    throw new UsageError(`${target} is not empty\n${USAGE}`);
  // Others may have to reach the folder of the server's account, which is not ours when we are root.
  mkdirSync(join(target, "postgres"), { recursive: true, mode: 0o755 });
  const adminUrl = demo.databases.order.replace(/\/[^/]*$/, "/postgres");
  const backup = await baseBackup(adminUrl, cluster, join(target, "postgres", "cluster"));
  // Without the keys nobody can read the addresses again.
  await copyFolder(join(dataDir, "demo-keys"), join(target, "demo-keys"));
  return backup;
}
