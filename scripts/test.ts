import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { fileURLToPath } from "node:url";

const kinds = ["unit", "simulation", "integration", "failure"] as const;
const root = fileURLToPath(new URL("..", import.meta.url));

/** What we read of the report that jest writes. */
interface Report {
  readonly numPassedTests: number;
  readonly numFailedTests: number;
  readonly numPendingTests: number;
  readonly numTodoTests: number;
  /** Files that failed before any of their tests ran. */
  readonly numRuntimeErrorTestSuites: number;
}

/**
 * npm test [unit|simulation|integration|failure] [names of files] [jest's options]: runs the tests of these folders, or of
 * all. The last line says what jest's own report counted; exit code 0 only when tests ran and none failed.
 */
const args = process.argv.slice(2);
const optionsAt = args.findIndex((arg) => arg.startsWith("-"));
const [words, options] = optionsAt < 0 ? [args, []] : [args.slice(0, optionsAt), args.slice(optionsAt)];
const chosen = kinds.filter((kind) => kind === words[0]);
const names = chosen.length > 0 ? words.slice(1) : words;
const folders = (chosen.length > 0 ? chosen : kinds).map((kind) => join("test", kind));
const patterns = folders.flatMap((folder) =>
  (names.length > 0 ? names : [""]).map((name) => `${folder}/.*${name}`),
);
const scratch = mkdtempSync(join(tmpdir(), "holdfast-tests-"));
try {
  const file = join(scratch, "report.json");
  const code = await runJest(file);
  const report = readReport(file);
  const failed = report.numFailedTests + report.numRuntimeErrorTestSuites;
  const skipped = report.numPendingTests + report.numTodoTests;
  const ran = report.numPassedTests + failed;
  if (ran === 0) console.log("no test ran");
  // A run that ended badly without naming a test must not look like a good one.
  const unnamed = ran > 0 && failed === 0 && code !== 0 ? 1 : 0;
  if (unnamed > 0) console.log(`jest ended with code ${code}`);
  process.exitCode = ran === 0 || failed + unnamed > 0 ? 1 : 0;
  const skips = skipped > 0 ? `, ${skipped} skipped` : "";
  console.log(`${report.numPassedTests} passed, ${failed + unnamed} failed${skips}`);
} finally {
  rmSync(scratch, { recursive: true, force: true });
}

function runJest(reportFile: string): Promise<number> {
  const bin = join(root, "node_modules", ".bin");
  // Jest also keeps the report's JSON in that file when it prints for people.
  const command = [
    join(root, "node_modules", "jest", "bin", "jest.js"),
    "--json",
    // A test that failed may leave a timer or a connection behind; the run must end all the same.
    "--forceExit",
    `--outputFile=${reportFile}`,
    ...patterns,
    ...options,
  ];
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, command, {
      cwd: root,
      stdio: ["ignore", "ignore", "inherit"],
      env: {
        ...process.env,
        PATH: `${bin}${delimiter}${process.env.PATH ?? ""}`,
        // Some hundred processes are started: half of what a start costs is to compile the same files again.
        NODE_COMPILE_CACHE: join(scratch, "compiled"),
      },
    });
    child.once("error", reject);
    // A signal reaches jest as well; the report of what ran until then is still worth its line.
    for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, () => child.kill(signal));
    child.once("close", (code) => resolve(code ?? 1));
  });
}

function readReport(file: string): Report {
  if (existsSync(file)) return JSON.parse(readFileSync(file, "utf8")) as Report;
  return {
    numPassedTests: 0,
    numFailedTests: 0,
    numPendingTests: 0,
    numTodoTests: 0,
    numRuntimeErrorTestSuites: 0,
  };
}
