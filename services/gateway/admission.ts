import type { IncomingMessage, ServerResponse } from "node:http";
import type { ServiceBroker } from "moleculer";
import { createBatcher } from "../../lib/batcher.ts";
import type { Config } from "../../lib/config.ts";
import { callAction } from "../../lib/define.ts";
import { factsOf } from "../../lib/errors.ts";
import { log } from "../../lib/logging.ts";
import type { Principal } from "./auth.ts";
import { clientAddressBy } from "./client-address.ts";
import {
  createRateLimiter,
  type Policy,
  type RateLimiter,
  type Spending,
  type Verdict,
} from "./rate-limits.ts";
import { RateLimitedError } from "./refusals.ts";

/** Decides who is heard. */
export interface Admission {
  /** Before anything else is looked at: what keeps this request from it. */
  address(request: IncomingMessage): RateLimitedError | undefined;
  /** Once it is known who asks. @throws RateLimitedError */
  subject(principal: Principal, response: ServerResponse): void;
  /** A token that does not hold: whoever tries many is heard less often. */
  badToken(request: IncomingMessage): void;
}

/** Settling is nothing that anybody waits for, and nothing worth queueing. */
const SETTLE_TIMEOUT_MS = 1_000;
/** So many requests is one with a bad token counted for. */
const BAD_TOKEN_PRICE = 10;

export function createAdmission(broker: ServiceBroker, settings: Config): Admission {
  const limiter = limiterOf(broker);
  const { RATE_LIMIT_BURST_SECONDS: burstSeconds } = settings;
  const subjects = limiter({ name: "subject", perSecond: settings.RATE_LIMIT_PER_SUBJECT, burstSeconds });
  const addresses = limiter({ name: "address", perSecond: settings.RATE_LIMIT_PER_ADDRESS, burstSeconds });
  const addressOf = clientAddressBy(settings.TRUSTED_PROXIES);
  return {
    address(request) {
      const verdict = addresses.take(addressOf(request));
      return verdict && !verdict.allowed ? refusalOf(addresses.policy, verdict) : undefined;
    },
    subject({ subject }, response) {
      const verdict = subjects.take(subject);
      if (!verdict) return;
      if (!verdict.allowed) throw refusalOf(subjects.policy, verdict);
      // Who is far from the limit need not be told of it, with every answer.
      if (verdict.resetSeconds * 2 < burstSeconds) return;
      for (const [name, value] of Object.entries(headersOf(subjects.policy, verdict)))
        response.setHeader(name, value);
    },
    badToken(request) {
      addresses.charge(addressOf(request), BAD_TOKEN_PRICE - 1);
    },
  };
}

/** Limiters that share one way to the store: what many keys have to tell travels together. */
function limiterOf(broker: ServiceBroker): (policy: Policy) => RateLimiter {
  const settle = createBatcher<Spending, number>({
    name: "rate limits",
    sizeMax: 1_000,
    concurrency: 1,
    // Never fails as a whole: a batcher would ask again for each item, and these may as well be lost.
    run: async (spent) => {
      try {
        return (
          await callAction(
            broker,
            "saga.settleRates",
            { spent },
            { timeout: SETTLE_TIMEOUT_MS, caller: "gateway" },
          )
        ).owed;
      } catch (error) {
        return spent.map(() => (error instanceof Error ? error : new Error(String(error))));
      }
    },
  });
  const onError = (error: unknown) =>
    log(broker.logger, {}).debug("limits hold for this gateway alone", { code: factsOf(error).type });
  return (policy) => createRateLimiter({ policy, settle, onError });
}

function refusalOf(policy: Policy, verdict: Verdict): RateLimitedError {
  return new RateLimitedError(policy.name, verdict.waitSeconds, headersOf(policy, verdict));
}

/** RateLimit and RateLimit-Policy of draft-ietf-httpapi-ratelimit-headers-10. */
function headersOf({ name, perSecond, burstSeconds }: Policy, verdict: Verdict): Record<string, string> {
  return {
    "ratelimit-policy": `"${name}";q=${perSecond * burstSeconds};w=${burstSeconds}`,
    ratelimit: `"${name}";r=${verdict.remaining};t=${Math.ceil(verdict.resetSeconds)}`,
  };
}
