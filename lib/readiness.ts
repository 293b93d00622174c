import type { ServiceBroker } from "moleculer";
import { log } from "./logging.ts";

/** Resolves when what it looks at works; throws, or takes longer than a second and a half, when not. */
export type ReadinessCheck = () => Promise<void>;

export interface CheckResult {
  readonly ok: boolean;
  readonly error?: string;
}

export interface ReadinessReport {
  readonly ready: boolean;
  readonly checks: Readonly<Record<string, CheckResult>>;
}

/** Probes of many load balancers must not become a load of their own. */
const CACHED_MS = 1_000;
const TIMEOUT_MS = 1_500;

const known = new WeakMap<ServiceBroker, Readiness>();

/** Where the parts of a process register what has to work before it takes requests. */
export function readinessOf(broker: ServiceBroker): Readiness {
  const readiness = known.get(broker) ?? new Readiness(broker);
  known.set(broker, readiness);
  return readiness;
}

interface Checked {
  readonly check: ReadinessCheck;
  at: number;
  result: Promise<CheckResult>;
  failed: boolean;
}

export class Readiness {
  readonly #broker: ServiceBroker;
  readonly #checks = new Map<string, Checked>();

  constructor(broker: ServiceBroker) {
    this.#broker = broker;
  }

  /** Adds a check, or replaces the one of that name. Answers how to take it away. */
  register(name: string, check: ReadinessCheck): () => void {
    const never = Promise.resolve({ ok: false });
    const entry: Checked = { check, at: Number.NEGATIVE_INFINITY, result: never, failed: false };
    this.#checks.set(name, entry);
    return () => {
      if (this.#checks.get(name) === entry) this.#checks.delete(name);
    };
  }

  /** Runs what was not run within the last second; several askers share one run. */
  async report(): Promise<ReadinessReport> {
    const names = [...this.#checks.keys()];
    const results = await Promise.all([...this.#checks].map(([name, entry]) => this.#resultOf(name, entry)));
    const checks = Object.fromEntries(results.map((result, index) => [names[index], result]));
    return { ready: results.every((result) => result.ok), checks };
  }

  #resultOf(name: string, entry: Checked): Promise<CheckResult> {
    const now = performance.now();
    if (now - entry.at >= CACHED_MS) {
      entry.at = now;
      entry.result = run(entry.check).then((result) => this.#noted(name, entry, result));
    }
    return entry.result;
  }

  /** One line when it breaks and one when it works again, however often it is asked. */
  #noted(name: string, entry: Checked, result: CheckResult): CheckResult {
    if (entry.failed !== !result.ok) {
      entry.failed = !result.ok;
      const about = log(this.#broker.logger, {});
      if (result.ok) about.info("ready again", { check: name });
      else about.warn("not ready", { check: name, reason: result.error });
    }
    return result;
  }
}

async function run(check: ReadinessCheck): Promise<CheckResult> {
  let timer: NodeJS.Timeout | undefined;
  const deadline = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error(`no answer within ${TIMEOUT_MS} ms`)), TIMEOUT_MS);
  });
  try {
    await Promise.race([check(), deadline]);
    return { ok: true };
  } catch (error) {
    return { ok: false, error: error instanceof Error ? error.message : String(error) };
  } finally {
    clearTimeout(timer);
  }
}
