import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { loadConfig } from "../../lib/config.ts";
import { armFaults, asWork, faults, parseFaults, passCommit, passPoint } from "../../lib/fault-points.ts";

const folder = mkdtempSync(join(tmpdir(), "holdfast-faults-"));

afterEach(() => armFaults([]));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

test("faults are read with their action and passage", () => {
  expect(parseFaults("a.b=kill@2, c=pause:5,d=throw")).toEqual([
    { point: "a.b", action: { kind: "kill" }, passage: 2 },
    { point: "c", action: { kind: "pause", ms: 5 }, passage: 1 },
    { point: "d", action: { kind: "throw" }, passage: 1 },
  ]);
});

test.each(["x", "x=die", "x=kill@0", "x=pause", "x=kill,", "=kill"])("%s stops the start", (given) => {
  expect(() => loadConfig({ FAULT_POINTS: given })).toThrow(/^FAULT_POINTS: /);
});

test("without a setting nothing is armed", async () => {
  armFaults(loadConfig({}).FAULT_POINTS);
  expect(faults.armed).toBe(false);
  await passPoint("anywhere");
});

test("a fault strikes at its passage, and once", async () => {
  armFaults(parseFaults("here=throw@2") ?? []);
  await passPoint("here");
  await expect(passPoint("here")).rejects.toMatchObject({ type: "FAULT_INJECTED" });
  await passPoint("here");
});

test("the log tells each passage of each point", async () => {
  const log = join(folder, "points");
  armFaults([], { log });
  for (const point of ["a", "b", "a"]) await passPoint(point);
  expect(readFileSync(log, "utf8")).toBe("a\nb\na@2\n");
});

test("before its gate is open, a point neither counts nor strikes nor is noted", async () => {
  const [log, gate] = [join(folder, "gated"), join(folder, "gate")];
  armFaults(parseFaults("here=throw@2") ?? [], { log, gate });
  for (let passage = 0; passage < 3; passage += 1) await passPoint("here");
  expect(existsSync(log)).toBe(false);
  writeFileSync(gate, "");
  await passPoint("here");
  await expect(passPoint("here")).rejects.toMatchObject({ type: "FAULT_INJECTED" });
  expect(readFileSync(log, "utf8")).toBe("here\nhere@2\n");
});

test("faults in the gate count in place of the setting's, as long as it is open", async () => {
  const gate = join(folder, "aimed");
  armFaults(parseFaults("here=throw") ?? [], { gate });
  expect(faults.armed).toBe(true);
  writeFileSync(gate, "there=throw@2\n");
  for (const point of ["here", "there"]) await passPoint(point);
  await expect(passPoint("there")).rejects.toMatchObject({ type: "FAULT_INJECTED" });
  rmSync(gate);
  await passPoint("there");
  writeFileSync(gate, "");
  await expect(passPoint("here")).rejects.toMatchObject({ type: "FAULT_INJECTED" });
});

test("a gate that was closed and opened again counts anew, also when nothing was passed meanwhile", async () => {
  const gate = join(folder, "again");
  armFaults(parseFaults("here=throw@2") ?? [], { gate });
  for (let opening = 0; opening < 3; opening += 1) {
    writeFileSync(`${gate}.new`, "");
    renameSync(`${gate}.new`, gate);
    await passPoint("here");
    rmSync(gate);
  }
  writeFileSync(gate, "");
  await passPoint("here");
  await expect(passPoint("here")).rejects.toMatchObject({ type: "FAULT_INJECTED" });
});

test("of two processes that are at a killing point at once one dies", async () => {
  const gate = join(folder, "shared");
  const script = `
    import { armFaults, passPoint } from ${JSON.stringify(join(__dirname, "..", "..", "lib", "fault-points.ts"))};
    armFaults([], { gate: ${JSON.stringify(gate)} });
    process.stdout.write("ready\\n");
    process.stdin.once("data", async () => {
      for (let passage = 0; passage < 200; passage += 1) await passPoint("here");
      process.exit(0);
    });`;
  const both = [1, 2].map(() =>
    spawn("node", ["--input-type=module", "-e", script], { stdio: ["pipe", "pipe", "inherit"] }),
  );
  await Promise.all(both.map(({ stdout }) => once(stdout, "data")));
  writeFileSync(`${gate}.new`, "here=kill@100");
  renameSync(`${gate}.new`, gate);
  const ends = both.map((child) => once(child, "close"));
  for (const { stdin } of both) stdin.write("go\\n");
  const signals = (await Promise.all(ends)).map(([, signal]) => signal);
  expect(signals.filter((signal) => signal === "SIGKILL")).toHaveLength(1);
});

test("a name with spaces is armed and logged with dashes", async () => {
  const log = join(folder, "dashes");
  armFaults(parseFaults("holdfast-order.save=throw") ?? [], { log });
  await expect(passPoint("holdfast order.save")).rejects.toMatchObject({ type: "FAULT_INJECTED" });
  expect(readFileSync(log, "utf8")).toBe("holdfast-order.save\n");
});

test("a commit is named by the innermost work, or else by its database", async () => {
  const log = join(folder, "commits");
  armFaults([], { log });
  await passCommit("holdfast order", "save", "before");
  await asWork("a loop", () => asWork("a.batch", () => passCommit("holdfast order", "save", "after")));
  expect(readFileSync(log, "utf8")).toBe("holdfast-order.save.before-commit\na.batch.save.after-commit\n");
});
