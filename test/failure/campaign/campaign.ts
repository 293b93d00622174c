import { setTimeout as wait } from "node:timers/promises";
import { Random } from "../../support/random.ts";
import { answerViolations, auditViolations, effectViolations, readViolations } from "./checks.ts";
import { type Cluster, startCluster } from "./cluster.ts";
import { Customers } from "./customers.ts";
import { History, isAccepted } from "./history.ts";
import { carryOutDeaths, carryOutStorm, type Struck } from "./nemesis.ts";
import { NotRecoveredError, recovered, type TakeOver, takeOvers } from "./recovery.ts";
import { type Rolling, replaceAll, rollingViolations } from "./rolling.ts";
import { type FaultKind, type Plan, plan } from "./schedule.ts";

export interface CampaignOptions {
  readonly seed: number;
  /** Under faults, in all; what comes before, between and after them is on top. */
  readonly minutes: number;
  readonly storiesPerSecond: number;
  readonly progress: (line: string) => void;
  /** Told of each fault. */
  readonly tell: (line: string) => void;
  /** Whether data and logs stay where they are; default: when something is violated. */
  readonly keep?: (result: CampaignResult) => boolean;
  /** Settings of all processes, on top of the usual ones. */
  readonly env?: NodeJS.ProcessEnv;
}

/** By the clock of performance.now(). */
export interface Span {
  readonly name: "calm" | "rolling" | "deaths" | "storm";
  readonly from: number;
  readonly to: number;
}

export interface CampaignResult {
  readonly plan: Plan;
  readonly rolling: Rolling | undefined;
  readonly struck: readonly Struck[];
  readonly history: History;
  readonly spans: readonly Span[];
  readonly takeOvers: readonly TakeOver[];
  readonly recoveriesMs: readonly number[];
  /** Processes that ended by themselves, and are none the worse for it once they run again. */
  readonly surprises: readonly string[];
  readonly violations: readonly string[];
  /** Kinds of faults that this machine does not allow, and why. */
  readonly impossible: readonly string[];
  readonly logDir?: string;
}

const CUSTOMERS = 24;
const startMsMax = 180_000;
const calmMs = 5_000;
/** Later than is promised, so that what is late can be told from what never ends. */
const RECOVERED_MS_MAX = 180_000;
/** Asked once more at the end; each of them once during the campaign by chance. */
const askedAgainMax = 300;

export async function runCampaign(options: CampaignOptions): Promise<CampaignResult> {
  const { progress, env } = options;
  progress("starting two processes of each service, PostgreSQL, NATS and Kafka");
  const cluster = await startCluster({ env, progress });
  const interrupted = () => void cluster.stop(false).finally(() => process.exit(1));
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.once(signal, interrupted);
  let result: CampaignResult | undefined;
  let unclean: readonly string[] = [];
  try {
    await cluster.ready(startMsMax);
    result = await campaign(cluster, options);
  } finally {
    const isWrong = options.keep ?? (({ violations }) => violations.length > 0);
    const keep = result === undefined || isWrong(result);
    unclean = await cluster.stop(keep);
    if (keep) progress(`data and logs are kept: ${cluster.logDir}`);
  }
  return { ...result, violations: [...result.violations, ...unclean] };
}

async function campaign(cluster: Cluster, options: CampaignOptions): Promise<CampaignResult> {
  const { seed, minutes, storiesPerSecond, progress, tell } = options;
  const without = new Set<FaultKind>(cluster.disk === undefined ? ["disk-full"] : []);
  const planned = plan(seed, minutes, without);
  const history = new History();
  const random = new Random(seed);
  const customers = new Customers({ cluster, history, random, customers: CUSTOMERS, storiesPerSecond });
  const [spans, struck, recoveriesMs, violations]: [Span[], Struck[], number[], string[]] = [[], [], [], []];
  const deaths: Date[] = [];
  let rolling: Rolling | undefined;
  try {
    const calmFrom = performance.now();
    await wait(calmMs);
    const calmTo = performance.now();
    spans.push({ name: "calm", from: calmFrom, to: calmTo });
    progress("every process is replaced, one after the other");
    rolling = await replaceAll(cluster, history, tell);
    spans.push({ name: "rolling", from: calmTo, to: performance.now() });
    violations.push(...rollingViolations(rolling));
    for (const [index, round] of planned.rounds.entries()) {
      progress(
        `round ${index + 1} of ${planned.rounds.length}: ${round.name}, ${round.faults.length} faults`,
      );
      const from = performance.now();
      const isStorm = round.name === "storm";
      const done = isStorm
        ? await carryOutStorm(cluster, round, tell)
        : await carryOutDeaths(cluster, round, tell, RECOVERED_MS_MAX);
      spans.push({ name: round.name, from, to: performance.now() });
      struck.push(...done);
      if (!isStorm) deaths.push(...done.map(({ at }) => at));
      else recoveriesMs.push(await recovered(cluster, RECOVERED_MS_MAX));
      if (isStorm) progress(`recovered ${recoveriesMs.at(-1)} ms after the last fault`);
    }
    progress("no more faults: waiting for the last answers");
    await customers.end(RECOVERED_MS_MAX);
    await askAgain(customers, history);
    await recovered(cluster, RECOVERED_MS_MAX);
  } catch (error) {
    // What has not come to rest is looked at all the same.
    if (!(error instanceof NotRecoveredError)) throw error;
    violations.push(error.message);
    await cluster.describe();
    // The checks look at what has come to rest.
    await customers.end(RECOVERED_MS_MAX);
  } finally {
    customers.close();
  }
  progress("auditing");
  violations.push(...answerViolations(history), ...(await effectViolations(cluster, history)));
  violations.push(...(await readViolations(cluster, history)), ...(await auditViolations(cluster)));
  return {
    plan: planned,
    rolling,
    struck,
    history,
    spans,
    takeOvers: await takeOvers(cluster, deaths),
    recoveriesMs,
    surprises: [...cluster.members.values()].flatMap((member) => member.surprises),
    violations,
    impossible: [...without].map((kind) => `${kind}: needs root, to mount a small disk`),
    logDir: cluster.logDir,
  };
}

/** The same answer again, long after. */
async function askAgain(customers: Customers, { asked }: History): Promise<void> {
  const accepted = asked.filter(({ answers }) => answers.some(isAccepted));
  const step = Math.max(1, Math.ceil(accepted.length / askedAgainMax));
  for (let at = 0; at < accepted.length; at += step) {
    const one = accepted[at];
    if (one !== undefined) await customers.again(one);
  }
}
