import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { parseArgs } from "node:util";
import { type Driven, drive, fateOf } from "./backup/drive.ts";
import { runOnce, startOn } from "./backup/run-demo-process.ts";
import { reportFailure } from "./exit.ts";

/**
 * npm run backup:drill: a system that is used is backed up, is lost, and is brought back from the backup; then its orders
 * are looked at and audited. Exit code 0 when nothing that was answered before the backup ended is missing, everything
 * has ended, and the audit is clean.
 */
const options = { seconds: { type: "string", default: "20" }, stack: { type: "boolean" } } as const;
const { values } = parseArgs({ options });
/** On the stack Kafka is lost too, and begins anew. */
const script = values.stack ? "stack.ts" : "start.ts";
/** What the bus was given before that has been taken long ago. */
const REPUBLISHED_MS = 600_000;
const secondsMax = Number(values.seconds);
const folder = mkdtempSync(join(tmpdir(), "holdfast-drill-"));
const say = (line: string) => console.log(`drill: ${line}`);
try {
  process.exitCode = (await drill()) ? 0 : 1;
} catch (error) {
  process.exitCode = reportFailure("drill", error);
} finally {
  rmSync(folder, { recursive: true, force: true });
}

async function drill(): Promise<boolean> {
  const [before, after] = [join(folder, "before"), join(folder, "after")];
  const { driven, endedAt } = await useAndLose(before, after);
  rmSync(before, { recursive: true });
  const startedAt = performance.now();
  const since = new Date(endedAt - REPUBLISHED_MS).toISOString();
  if (values.stack) await mustRun(["republish.ts", "--since", since], { DATA_DIR: after });
  const system = await startOn(script, after);
  try {
    say(`restored and ready after ${seconds(startedAt)} s`);
    return (await isWhole(system.demo, driven, endedAt)) && (await isAudited(after, since));
  } finally {
    await system.stop();
  }
}

/** Answers what was promised to customers, and until when the backup has to hold it. */
async function useAndLose(before: string, after: string): Promise<{ driven: Driven; endedAt: number }> {
  const system = await startOn(script, before);
  try {
    const load = drive(system.demo);
    await delay(secondsMax * 1_000);
    const startedAt = performance.now();
    // What was answered before it is begun is in it for certain; what is answered meanwhile may be.
    const endedAt = Date.now();
    await mustRun(["backup.ts", after], { DATA_DIR: before });
    say(`backed up in ${seconds(startedAt)} s, under load`);
    await delay(2_000);
    const driven = await load.stop();
    say(`${driven.orders.length} orders were accepted, ${driven.paid} payments; the system is lost`);
    return { driven, endedAt };
  } finally {
    await system.stop();
  }
}

async function isWhole(
  demo: Parameters<typeof drive>[0],
  { orders }: Driven,
  endedAt: number,
): Promise<boolean> {
  const [promised, later] = [
    orders.filter(({ at }) => at < endedAt),
    orders.filter(({ at }) => at >= endedAt),
  ];
  const fates = await fateOf(demo, promised);
  say(
    `${promised.length} were accepted before the backup: ${fates.missing} missing, ${fates.open} not ended; ` +
      Object.entries(fates.statuses)
        .map(([status, count]) => `${count} ${status}`)
        .join(", "),
  );
  const lost = await fateOf(demo, later);
  say(`${later.length} were accepted since it began: ${lost.missing} are lost, as they must be`);
  return fates.missing === 0 && fates.open === 0 && lost.open === 0;
}

async function mustRun(command: readonly string[], env: NodeJS.ProcessEnv): Promise<void> {
  const { code, output } = await runOnce(command, env);
  if (code !== 0) throw new Error(`${command.join(" ")} ended with ${code}: ${output}`);
  for (const line of output.trim().split("\n")) say(line);
}

async function isAudited(dataDir: string, since: string): Promise<boolean> {
  const options = values.stack ? ["--bus-since", since] : [];
  const { code, output } = await runOnce(["audit.ts", ...options], { DATA_DIR: dataDir });
  say(`npm run audit: exit code ${code}`);
  console.log(output.trim());
  return code === 0;
}

function seconds(since: number): string {
  return ((performance.now() - since) / 1_000).toFixed(1);
}
