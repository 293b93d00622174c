import { execFileSync } from "node:child_process";
import { parseArgs } from "node:util";
import { runCampaign } from "../test/failure/campaign/campaign.ts";
import { reportLines, violationsOf } from "../test/failure/campaign/report.ts";
import { plan } from "../test/failure/campaign/schedule.ts";
import { reportFailure, UsageError } from "./exit.ts";

const usage = `usage: npm run chaos -- [--minutes M] [--seed S] [--rate R] [--keep] [--no-times] [--verbose] [--plan]
  --minutes 2   under faults, in all; the recoveries in between are on top
  --seed S      draws the faults: the same seed, the same schedule (default: a new one)
  --rate 8      stories a second that customers begin
  --keep        keeps data and logs, also when nothing is wrong
  --no-times    what is late is no violation: for a machine that has other work
  --verbose     tells of each fault as it happens
  --plan        prints the schedule, and does nothing
exit code: 0 no violations, 1 violations, 2 wrong arguments`;

const LINGER_MS_MAX = 10_000;

/** npm run chaos: two processes of each service on real servers, under load, while a seeded nemesis is at them. */
try {
  process.exitCode = await main(readOptions(process.argv.slice(2)));
  // After half an hour of faults something of ours or a library's may still wait for what will not come.
  setTimeout(() => process.exit(), LINGER_MS_MAX).unref();
} catch (error) {
  process.exitCode = reportFailure("chaos", error);
}

interface Options {
  readonly minutes: number;
  readonly seed: number;
  readonly rate: number;
  readonly keep: boolean;
  readonly verbose: boolean;
  readonly times: boolean;
  readonly plan: boolean;
}

async function main({ minutes, seed, rate, keep, verbose, times, plan: planOnly }: Options): Promise<number> {
  if (planOnly) {
    const { rounds, fingerprint } = plan(seed, minutes);
    for (const [index, { name, faults }] of rounds.entries())
      for (const { atMs, kind, target, lastsMs } of faults)
        console.log(`${index + 1} ${name} +${atMs} ms ${kind} ${target} ${lastsMs} ms`);
    console.log(`schedule ${fingerprint}`);
    return 0;
  }
  const startedAt = performance.now();
  // Now: what is checked out when it is over may be something else.
  const release = commit();
  const progress = (line: string) =>
    console.log(`chaos: ${Math.round((performance.now() - startedAt) / 1_000)} s: ${line}`);
  const tell = verbose ? progress : () => undefined;
  progress(`seed ${seed}`);
  const result = await runCampaign({
    seed,
    minutes,
    storiesPerSecond: rate,
    progress,
    tell,
    keep: (come) => keep || violationsOf(come, times).length > 0,
  });
  console.log(reportLines(result, release, times).join("\n"));
  return violationsOf(result, times).length > 0 ? 1 : 0;
}

function readOptions(args: readonly string[]): Options {
  const values = parse(args);
  return {
    minutes: positive("--minutes", values.minutes ?? "2"),
    seed: positive("--seed", values.seed ?? String(1 + Math.floor(Math.random() * 2 ** 31))),
    rate: positive("--rate", values.rate ?? "8"),
    keep: values.keep ?? false,
    verbose: values.verbose ?? false,
    times: !values["no-times"],
    plan: values.plan ?? false,
  };
}

function parse(args: readonly string[]) {
  const [text, flag] = [{ type: "string" }, { type: "boolean" }] as const;
  try {
    return parseArgs({
      args: [...args],
      options: {
        minutes: text,
        seed: text,
        rate: text,
        keep: flag,
        verbose: flag,
        plan: flag,
        "no-times": flag,
      },
    }).values;
  } catch (error) {
    throw new UsageError(`${error instanceof Error ? error.message : String(error)}\n${usage}`);
  }
}

function positive(name: string, text: string): number {
  const value = Number(text);
  if (text === "" || !Number.isFinite(value) || value <= 0)
    throw new UsageError(`${name} "${text}" is not a number above 0\n${usage}`);
  return value;
}

function commit(): string {
  try {
    return execFileSync("git", ["describe", "--always", "--dirty"], { encoding: "utf8" }).trim();
  } catch {
    return "unknown";
  }
}
