import { spawnSync } from "node:child_process";
import { mkdirSync, renameSync, rmSync, statfsSync } from "node:fs";

/** A disk of PostgreSQL's own, in memory, so that it can be full without harm to anything else. */
export interface SmallDisk {
  /** From now on nothing more goes on it; answers how to make room again. */
  fill(): () => void;
  /** @param keep a copy of what is on it, where it was */
  unmount(keep: boolean): void;
}

/** What is not written takes no memory. */
const usualMb = 4_096;
const bytesPerMb = 1_048_576;

/** Undefined where we may not mount one: that needs root. */
export function mountSmallDisk(folder: string): SmallDisk | undefined {
  if (process.platform !== "linux" || process.getuid?.() !== 0) return undefined;
  mkdirSync(folder, { recursive: true });
  if (!mount("-t", "tmpfs", "-o", `size=${usualMb}m,mode=0711`, "tmpfs", folder)) return undefined;
  const resize = (mb: number) => {
    if (!mount("-o", `remount,size=${mb}m`, folder))
      throw new Error(`${folder} cannot be made ${mb} MB large`);
  };
  return {
    fill() {
      const { blocks, bfree, bsize } = statfsSync(folder);
      resize(Math.ceil(((blocks - bfree) * bsize) / bytesPerMb));
      return () => resize(usualMb);
    },
    unmount(keep) {
      const copy = `${folder}.kept`;
      if (keep) spawnSync("cp", ["-a", folder, copy]);
      spawnSync("umount", ["-l", folder]);
      if (!keep) return;
      rmSync(folder, { recursive: true, force: true });
      renameSync(copy, folder);
    },
  };
}

const mount = (...args: string[]) => spawnSync("mount", args).status === 0;
