import { randomUUID } from "node:crypto";
import { setTimeout as wait } from "node:timers/promises";
import type { Person } from "../../scripts/demo/tokens.ts";
import type { HttpAnswer } from "./http.ts";
import type { Random } from "./random.ts";
import type { Line } from "./shop.ts";
import type { System } from "./system.ts";

/** One thing that a customer wants, under one Idempotency-Key, for as long as its outcome is unknown. */
export interface Wish {
  readonly key: string;
  readonly as: Person;
  readonly items: readonly Line[];
  /** Every definite answer to it: several where it was asked again although it was known. */
  readonly answers: HttpAnswer[];
  /** Answers that leave the outcome open, and connections that broke. */
  unknown: number;
}

export interface LoadOptions {
  readonly random: Random;
  readonly wishesPerSecond: number;
  /** Each waits for its answer before it goes on: what is under way is bounded by their number. */
  readonly customers: number;
  /** How long a wish is pursued that gets no definite answer. */
  readonly patienceMs?: number;
}

export interface Load {
  /** All wishes so far. */
  readonly wishes: readonly Wish[];
  /** Begins no new wishes; resolves when each one has its definite answer. */
  stop(): Promise<readonly Wish[]>;
}

/** Outcomes to be asked for again under the same key; anything else is an answer. */
const isOpen = (status: number) => status >= 500 || status === 409 || status === 429;

/**
 * Places orders at a steady rate, as long as the system keeps up with it, and asks again, under the same key, until
 * the answer is definite: just what an honest client does when the system dies under it.
 */
export function startLoad(system: System, options: LoadOptions): Load {
  const { random, wishesPerSecond, customers, patienceMs = 90_000 } = options;
  const wishes: Wish[] = [];
  const paceMs = (1_000 * customers) / wishesPerSecond;
  let stopping = false;

  const pursue = async (wish: Wish) => {
    const deadline = performance.now() + patienceMs;
    while (performance.now() < deadline) {
      const answer = await system
        .api("/orders", { as: wish.as, key: wish.key, body: { items: wish.items }, timeoutMs: 15_000 })
        .catch(() => undefined);
      if (answer !== undefined && !isOpen(answer.status)) {
        wish.answers.push(answer);
        return;
      }
      wish.unknown += 1;
      await wait(100);
    }
    throw new Error(`no definite answer for key ${wish.key} within ${patienceMs} ms`);
  };

  const customer = async () => {
    while (!stopping) {
      const startedAt = performance.now();
      const wish = newWish(system, random);
      wishes.push(wish);
      await pursue(wish);
      // A client that lost the answer asks again, be it long after.
      const earlier = random.chance(0.1) ? wishes[random.between(0, wishes.length - 1)] : undefined;
      if (earlier !== undefined && earlier.answers.length > 0) await pursue(earlier);
      await wait(Math.max(0, paceMs - (performance.now() - startedAt)));
    }
  };
  const working = Array.from({ length: customers }, customer);
  // Told when the load is stopped.
  for (const one of working) one.catch(() => undefined);
  return {
    wishes,
    async stop() {
      stopping = true;
      await Promise.all(working);
      return wishes;
    },
  };
}

/** Mostly what succeeds, some of everything that does not: stock that runs out, unknown products, inactive customers. */
function newWish(system: System, random: Random): Wish {
  const { plenty, scarce, soldOut } = system.demo.products;
  const line = (productId: string, most = 3) => ({ productId, quantity: random.between(1, most) });
  const kind = random.next();
  const items = (): Line[] => {
    if (kind < 0.08) return [line(plenty), line(soldOut)];
    if (kind < 0.25) return [line(scarce, 1), line(plenty)];
    if (kind < 0.3) return [line(plenty), line(randomUUID())];
    return [line(plenty)];
  };
  const as = random.chance(0.05) ? "inactiveCustomer" : random.chance(0.3) ? "otherCustomer" : "customer";
  return { key: `wish-${randomUUID()}`, as, items: items(), answers: [], unknown: 0 };
}
