import { spawn } from "node:child_process";
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { run } from "../parts/process.ts";
import type { Mutation } from "./mutation.ts";
import { mutated } from "./mutations.ts";

/** A copy of the working tree, in which guards can be switched off without anybody else noticing. */
export interface Scratch {
  /** Switches the guard off, runs its tests, and switches it on again. */
  run(mutation: Mutation): Promise<Outcome>;
  /** The same with all guards on. */
  runClean(mutation: Mutation): Promise<Outcome>;
  remove(): void;
}

export interface Outcome {
  /** The tests that failed, by name. */
  readonly failed: readonly string[];
  readonly passed: number;
  readonly seconds: number;
  /** Why no test ran. */
  readonly broken?: string;
}

interface Report {
  readonly numPassedTests: number;
  readonly testResults: readonly {
    readonly message: string;
    readonly assertionResults: readonly { readonly status: string; readonly title: string }[];
  }[];
}

const LISTED = ["ls-files", "--cached", "--others", "--exclude-standard"];
const testMsMax = 600_000;

/** Copies what is not ignored of the working tree at `root`; what is installed there is used from there. */
export async function makeScratch(root: string): Promise<Scratch> {
  const folder = mkdtempSync(join(tmpdir(), "holdfast-mutate-"));
  const { code, output } = await run("git", LISTED, { cwd: root, timeoutMs: 60_000 });
  if (code !== 0) throw new Error(`git could not list the working tree: ${output}`);
  for (const file of output.split("\n").filter(Boolean))
    if (existsSync(join(root, file))) cpSync(join(root, file), join(folder, file));
  for (const installed of ["node_modules", ".stack"])
    if (existsSync(join(root, installed))) symlinkSync(join(root, installed), join(folder, installed));
  return {
    async run(mutation) {
      const path = join(folder, mutation.file);
      const original = readFileSync(path, "utf8");
      writeFileSync(path, mutated(mutation, original));
      try {
        return await runTests(folder, mutation);
      } finally {
        writeFileSync(path, original);
      }
    },
    runClean: (mutation) => runTests(folder, mutation),
    remove: () => rmSync(folder, { recursive: true, force: true }),
  };
}

async function runTests(folder: string, { suite, test }: Mutation): Promise<Outcome> {
  const report = join(folder, "report.json");
  rmSync(report, { force: true });
  const args = [
    join(folder, "node_modules", "jest", "bin", "jest.js"),
    "--json",
    "--forceExit",
    "--bail",
    `--outputFile=${report}`,
    join("test", suite),
    ...(test === undefined ? [] : ["-t", test.replace(/[.*+?^${}()|[\]\\]/g, "\\$&")]),
  ];
  const bin = join(folder, "node_modules", ".bin");
  const before = performance.now();
  await new Promise<void>((resolve, reject) => {
    const child = spawn(process.execPath, args, {
      cwd: folder,
      stdio: "ignore",
      env: { ...process.env, PATH: `${bin}${delimiter}${process.env.PATH ?? ""}` },
    });
    const timer = setTimeout(() => child.kill("SIGKILL"), testMsMax);
    child.once("error", reject);
    child.once("close", () => {
      clearTimeout(timer);
      resolve();
    });
  });
  const seconds = (performance.now() - before) / 1_000;
  if (!existsSync(report)) return { failed: [], passed: 0, seconds, broken: "jest left no report" };
  return { ...outcomeOf(JSON.parse(readFileSync(report, "utf8")) as Report), seconds };
}

function outcomeOf({ numPassedTests, testResults }: Report): Omit<Outcome, "seconds"> {
  const results = testResults.flatMap(({ assertionResults }) => assertionResults);
  const failed = results.filter(({ status }) => status === "failed").map(({ title }) => title);
  // A file that cannot even be loaded proves nothing about a guard.
  const broken =
    failed.length + numPassedTests === 0 ? (testResults[0]?.message ?? "no test ran") : undefined;
  return { failed, passed: numPassedTests, ...(broken !== undefined && { broken }) };
}
