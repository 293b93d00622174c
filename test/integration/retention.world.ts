import { randomUUID } from "node:crypto";
import type { TopicDefinition } from "../../lib/bus/bus.ts";
import { loadConfig } from "../../lib/config.ts";
import { TOPICS } from "../../lib/topics.ts";
import { commonRules } from "../../mixins/retention-rules.ts";
import { type AgedRule, type WalkOptions, walkTable } from "../../mixins/retention-walk.ts";
import { orderRules } from "../../services/order/order.retention.ts";
import { paymentRules } from "../../services/payment/payment.retention.ts";
import { sagaRules } from "../../services/saga/saga.retention.ts";

/** Every rule of every service, as its defaults have it. */
export function rulesOf(
  env: NodeJS.ProcessEnv = {},
  topics: readonly TopicDefinition[] = Object.values(TOPICS),
): readonly AgedRule[] {
  const config = loadConfig(env);
  const common = commonRules(config, { describeTopics: async () => [...topics] });
  return [...common, ...orderRules(config), ...paymentRules(config), ...sagaRules(config)];
}

export function ruleOf(table: string, rules = rulesOf()): AgedRule {
  const rule = rules.find((one) => one.table === table);
  if (!rule) throw new Error(`nothing says when rows of ${table} may go`);
  return rule;
}

/** One walk of a node of its own, without pauses; the next one is due at once. */
export function walk(rule: AgedRule, options: Pick<WalkOptions, "database"> & Partial<WalkOptions>) {
  const { signal } = new AbortController();
  return walkTable(rule, { owner: randomUUID(), intervalMs: 0, signal, pauseMs: 0, ...options });
}
