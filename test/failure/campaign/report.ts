import type { CampaignResult, Span } from "./campaign.ts";
import { rollingLine } from "./rolling.ts";
import { FAULT_KINDS, type FaultKind } from "./schedule.ts";

/** What is said of a campaign when it is over. */

const takeOverP99MsMax = 10_000;
const recoveryP99MsMax = 60_000;
const shownMax = 40;

const OUTAGES: ReadonlySet<FaultKind> = new Set([
  "postgres-crash",
  "postgres-restart",
  "kafka-crash",
  "kafka-restart",
  "kafka-pause",
  "nats-crash",
  "nats-restart",
  "disk-full",
]);

/** The nearest rank; 0 of nothing. */
export function percentile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((one, other) => one - other);
  return Math.round(sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)] ?? 0);
}

/** What took longer than is promised. */
function lateness({ takeOvers, recoveriesMs }: CampaignResult): string[] {
  const takeOver = percentile(
    takeOvers.map(({ ms }) => ms),
    0.99,
  );
  const recovery = percentile(recoveriesMs, 0.99);
  const late = takeOvers
    .filter(({ ms }) => ms > takeOverP99MsMax)
    .map(({ ms, what, diedAt }) => `${what} ${ms} ms after the death at ${diedAt}`);
  return [
    ...(takeOver > takeOverP99MsMax
      ? [`take-over p99 is ${takeOver} ms, promised are ${takeOverP99MsMax} ms: ${late.join(", ")}`]
      : []),
    ...(recovery > recoveryP99MsMax
      ? [`recovery p99 is ${recovery} ms, promised are ${recoveryP99MsMax} ms`]
      : []),
  ];
}

/** Everything that a campaign must not show. `times`: also what came too late, which only a machine of its own tells. */
export function violationsOf(result: CampaignResult, times: boolean): string[] {
  return [...result.violations, ...(times ? lateness(result) : [])];
}

export function reportLines(result: CampaignResult, commit: string, times: boolean): string[] {
  const { plan, rolling, struck, history, takeOvers, recoveriesMs, surprises, impossible } = result;
  const hit = struck.filter(({ missed }) => missed === undefined);
  const counts = FAULT_KINDS.flatMap((kind) => {
    const count = hit.filter(({ fault }) => fault.kind === kind).length;
    return count === 0 ? [] : [`${kind} ${count}`];
  });
  const outages = hit.filter(({ fault }) => OUTAGES.has(fault.kind)).length;
  const missed = struck.length - hit.length;
  const violations = violationsOf(result, times);
  const { asked } = history;
  const accepted = asked.filter(({ answers }) => answers.some(({ status }) => status < 300)).length;
  const opens = [...history.opens].sort(([, one], [, other]) => other - one);
  const underFaults = plan.rounds.reduce((sum, { lastsMs }) => sum + lastsMs, 0) / 60_000;
  return [
    `chaos: seed ${plan.seed}, schedule ${plan.fingerprint}, commit ${commit}, ${underFaults.toFixed(1)} minutes under faults in ${plan.rounds.length} rounds`,
    `faults: ${hit.length}: ${counts.join(", ")}; ${outages} of them outages${missed > 0 ? `; ${missed} came to nothing` : ""}`,
    ...(rolling === undefined ? [] : [rollingLine(rolling)]),
    ...impossible.map((what) => `left out: ${what}`),
    `requests: ${asked.length}, ${accepted} accepted, ${asked.length - accepted} refused; outcomes left open and asked for again: ${opens.map(([what, count]) => `${what} ${count}`).join(", ") || "none"}`,
    ...(["calm", "rolling", "deaths", "storm"] as const).flatMap((name) => speedLine(result, name)),
    timesLine(
      "take-over",
      takeOvers.map(({ ms }) => ms),
      "deaths that met something in hand",
    ),
    timesLine(
      "recovery",
      recoveriesMs,
      "rounds, from the last fault's end until all that was begun had ended",
    ),
    `processes that ended by themselves and were started anew: ${surprises.length}`,
    ...surprises,
    ...violations.slice(0, shownMax).map((violation) => `VIOLATION ${violation}`),
    `chaos: ${violations.length} violations`,
  ];
}

function speedLine({ spans, history }: CampaignResult, name: Span["name"]): string[] {
  const own = spans.filter((span) => span.name === name);
  if (own.length === 0) return [];
  const within = ({ at }: { at: number }) => own.some(({ from, to }) => from <= at && at < to);
  const seconds = own.reduce((sum, { from, to }) => sum + to - from, 0) / 1_000;
  const answers = history.latencies.filter(within).map(({ ms }) => ms);
  const goals = history.goals.filter(within).map(({ ms }) => ms);
  const perSecond = (goals.length / seconds).toFixed(1);
  return [
    `${name}: ${perSecond} orders, payments and cancellations brought to their end a second; answer p50 ${percentile(answers, 0.5)} ms, p99 ${percentile(answers, 0.99)} ms; end p50 ${percentile(goals, 0.5)} ms, p99 ${percentile(goals, 0.99)} ms`,
  ];
}

function timesLine(what: string, values: readonly number[], of: string): string {
  const [p50, p99, max] = [percentile(values, 0.5), percentile(values, 0.99), percentile(values, 1)];
  return `${what}: p50 ${p50} ms, p99 ${p99} ms, longest ${max} ms (${values.length} ${of})`;
}
