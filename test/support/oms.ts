import { spawn } from "node:child_process";
import { join } from "node:path";
import { speak } from "../../scripts/oms/speak.ts";
import { targetOf } from "../../scripts/oms/target.ts";
import { nodeProgram } from "../../scripts/parts/process.ts";
import type { System } from "./system.ts";

/** npm run oms and npm run repl as operators use them. */

export interface Said {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

/** What a verb answers, asked in this process: as the command does it, without its start. */
export async function oms(system: System, ...words: string[]): Promise<Said> {
  const out: string[] = [];
  const err: string[] = [];
  const env = { DATA_DIR: system.dataDir };
  const code = await speak(words, () => targetOf(env), {
    out: (text) => out.push(text),
    err: (text) => err.push(text),
  });
  return { code, out: out.join("\n"), err: err.join("\n") };
}

/** The same with --json: what it prints. */
export async function omsJson<View>(system: System, ...words: string[]): Promise<View> {
  const { code, out, err } = await oms(system, ...words, "--json");
  expect({ code, err }).toEqual({ code: 0, err: "" });
  return JSON.parse(out) as View;
}

/** Runs scripts/oms.ts or scripts/repl.ts as a process of its own, with this on its standard input. */
export async function runOperator(
  command: readonly string[],
  env: NodeJS.ProcessEnv,
  input = "",
): Promise<Said> {
  const [script = "", ...args] = command;
  const root = join(__dirname, "..", "..");
  const child = spawn(nodeProgram(), [join(root, "scripts", script), ...args], {
    cwd: root,
    stdio: ["pipe", "pipe", "pipe"],
    env: { ...process.env, ...env },
  });
  const closed = new Promise<number | null>((resolve) => child.once("close", resolve));
  child.stdin.end(input);
  const [out, err] = await Promise.all([child.stdout.toArray(), child.stderr.toArray()]);
  return { code: await closed, out: Buffer.concat(out).toString(), err: Buffer.concat(err).toString() };
}
