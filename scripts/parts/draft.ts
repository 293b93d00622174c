import { readdirSync, rmSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { errorCode, exists } from "./process.ts";

let count = 0;

/**
 * A path beside the given one, to make something at and then move it into place in one step: it is either whole or
 * not there. The name is used once, for a program whose starter was killed may still write to (or clean up) its own.
 * What killed processes left is swept away.
 */
export function draftBeside(path: string): string {
  const prefix = `${basename(path)}.new-`;
  for (const name of namesIn(dirname(path))) {
    const maker = Number(name.slice(prefix.length).split("-")[0]);
    if (name.startsWith(prefix) && !exists(maker))
      rmSync(join(dirname(path), name), { recursive: true, force: true });
  }
  count += 1;
  return join(dirname(path), `${prefix}${process.pid}-${count}`);
}

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch (error) {
    if (errorCode(error) === "ENOENT") return [];
    throw error;
  }
}
