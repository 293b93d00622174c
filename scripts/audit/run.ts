import type { Config } from "../../lib/config.ts";
import { sleep } from "../parts/process.ts";
import { checkAgreement } from "./agreement.ts";
import { TRAIL_COUNTS, TRAIL_RULES } from "./audit-trail.ts";
import { checkLetters, DEAD_LETTER_COUNTS, DEAD_LETTER_RULES } from "./dead-letters.ts";
import { DEADLINE_COUNTS, DEADLINE_RULES } from "./deadlines.ts";
import { Findings, type Suspect } from "./findings.ts";
import { HISTORY_COUNTS, HISTORY_RULES } from "./histories.ts";
import { tellGone } from "./horizon.ts";
import { openKafkaLog } from "./kafka-log.ts";
import { checkMessages } from "./messages.ts";
import { MONEY_COUNTS, MONEY_RULES } from "./money.ts";
import type { AuditOptions } from "./options.ts";
import { OUTBOX_COUNTS, OUTBOX_RULES } from "./outbox.ts";
import { openPostgresLog } from "./postgres-log.ts";
import { type Report, reportOf } from "./report.ts";
import { checkAnswersElsewhere, REQUEST_COUNTS, REQUEST_RULES } from "./requests.ts";
import { checkRules } from "./sql-rules.ts";
import { STOCK_COUNTS, STOCK_RULES } from "./stock.ts";
import { openWorld, type World } from "./world.ts";

const RULES = [
  ...MONEY_RULES,
  ...STOCK_RULES,
  ...DEADLINE_RULES,
  ...REQUEST_RULES,
  ...OUTBOX_RULES,
  ...HISTORY_RULES,
  ...DEAD_LETTER_RULES,
  ...TRAIL_RULES,
];
const COUNTS = [
  ...MONEY_COUNTS,
  ...STOCK_COUNTS,
  ...DEADLINE_COUNTS,
  ...REQUEST_COUNTS,
  ...OUTBOX_COUNTS,
  ...HISTORY_COUNTS,
  ...DEAD_LETTER_COUNTS,
  ...TRAIL_COUNTS,
];

type Check = (world: World, findings: Findings, options: AuditOptions) => Promise<void>;

/** Every committed state of a database has to satisfy these: what they find stands. */
const ALWAYS: readonly Check[] = [
  (world, findings) => checkRules(world, findings, RULES, COUNTS),
  checkLetters,
  tellGone,
];
/** These hold one database against another, each read a moment apart: what they find is looked at again. */
const SETTLING: readonly Check[] = [checkAgreement, checkAnswersElsewhere, checkMessages];

const RECHECK_MS = 1_000;

interface Look {
  readonly world: World;
  readonly findings: Findings;
}

/**
 * Looks at the system, and again at what may be a matter of timing; `onFirstLook` is told when the first is over.
 * @throws DatabaseUnreadableError
 */
export async function runAudit(
  config: Config,
  options: AuditOptions,
  onFirstLook?: () => void,
): Promise<Report> {
  const startedAt = performance.now();
  const first = await look(config, options, [...ALWAYS, ...SETTLING]);
  onFirstLook?.();
  const { suspects, looks } = await settle(config, options, first);
  const seconds = (performance.now() - startedAt) / 1_000;
  return reportOf(first.world, first.findings, { settled: [...suspects.values()], looks, seconds });
}

/** Suspects that are found by every look until the time is over, or until nothing can change any more. */
async function settle(config: Config, options: AuditOptions, first: Look) {
  const deadline = performance.now() + options.settleSeconds * 1_000;
  let suspects: ReadonlyMap<string, Suspect> = first.findings.suspects;
  let looks = 1;
  let before = first.world;
  while (suspects.size > 0 && !isLongStill(before, options) && performance.now() < deadline) {
    await sleep(Math.min(RECHECK_MS, deadline - performance.now()));
    const { world, findings } = await look(config, options, SETTLING);
    looks += 1;
    suspects = new Map([...findings.suspects].filter(([key]) => suspects.has(key)));
    if (!before.live && !world.live && before.asOf.getTime() === world.asOf.getTime()) break;
    before = world;
  }
  return { suspects, looks };
}

/** Nothing has been written for so long that nothing is going to settle. */
function isLongStill({ live, asOf, snapshots }: World, { settleSeconds }: AuditOptions): boolean {
  return !live && snapshots.order.takenAt.getTime() - asOf.getTime() > settleSeconds * 1_000;
}

async function look(config: Config, options: AuditOptions, checks: readonly Check[]): Promise<Look> {
  const world = await openWorld(config, options, openBus);
  const findings = new Findings();
  try {
    await Promise.all(checks.map((check) => check(world, findings, options)));
  } finally {
    await world.close();
  }
  return { world, findings };
}

function openBus(config: Config) {
  return config.KAFKA_BROKERS === undefined ? openPostgresLog(config) : openKafkaLog(config.KAFKA_BROKERS);
}
