import { randomUUID } from "node:crypto";
import { setTimeout as wait } from "node:timers/promises";
import { DEMO_PRODUCTS } from "../../migrations/seeds/demo.ts";
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
  /** False: this order can only be cancelled. */
  readonly canSucceed: boolean;
  /** Every definite answer to it: several where it was asked again although it was known. */
  readonly answers: HttpAnswer[];
  /** By the clock of performance.now(). */
  answeredAt: number;
}

export interface LoadOptions {
  readonly random: Random;
  readonly wishesPerSecond: number;
  /** Each waits for its answer before it goes on: what is under way is bounded by their number. */
  readonly customers: number;
  /** How long a wish is pursued that gets no definite answer. */
  readonly patienceMs?: number;
}

export interface LoadResult {
  /** Each with its definite answer. */
  readonly wishes: readonly Wish[];
  /** How often each answer came that leaves the outcome open: its status and code, or what broke the connection. */
  readonly open: Readonly<Record<string, number>>;
  /** By the clock of performance.now(). */
  readonly faultsEndedAt: number;
}

/** The connection broke, or could not be made. */
export const NO_ANSWER = "no answer";

/** Outcomes to be asked for again under the same key; anything else is an answer. */
const isOpen = (status: number) => status >= 500 || status === 409 || status === 429;

/**
 * Places orders at a steady rate, as far as the system keeps up with it, while `faults` runs, and asks again, under
 * the same key, until each answer is definite: just what an honest client does when the system dies under it.
 */
export async function underLoad(
  system: System,
  options: LoadOptions,
  faults: () => Promise<void>,
): Promise<LoadResult> {
  const load = new Load(system, options);
  const working = Promise.all(Array.from({ length: options.customers }, () => load.customer()));
  try {
    await Promise.race([faults(), working.then(() => Promise.reject(new Error("the load ended")))]);
    const faultsEndedAt = performance.now();
    load.state = "ending";
    await working;
    return { wishes: load.wishes, open: Object.fromEntries(load.open), faultsEndedAt };
  } finally {
    load.state = "abandoned";
    await working.catch(() => undefined);
  }
}

class Load {
  readonly wishes: Wish[] = [];
  readonly open = new Map<string, number>();
  /** While "ending" nothing new is wished; once "abandoned" nothing is pursued any more. */
  state: "running" | "ending" | "abandoned" = "running";
  readonly #system: System;
  readonly #options: LoadOptions;

  constructor(system: System, options: LoadOptions) {
    this.#system = system;
    this.#options = options;
  }

  async customer(): Promise<void> {
    const { random, customers, wishesPerSecond } = this.#options;
    const paceMs = (1_000 * customers) / wishesPerSecond;
    while (this.state === "running") {
      const startedAt = performance.now();
      const wish = newWish(random);
      this.wishes.push(wish);
      await this.#pursue(wish);
      // A client that lost the answer asks again, be it long after.
      const earlier = random.chance(0.1) ? this.wishes[random.between(0, this.wishes.length - 1)] : undefined;
      if (earlier !== undefined && earlier.answers.length > 0) await this.#pursue(earlier);
      await wait(Math.max(0, paceMs - (performance.now() - startedAt)));
    }
  }

  async #pursue(wish: Wish): Promise<void> {
    const { patienceMs = 90_000 } = this.#options;
    const deadline = performance.now() + patienceMs;
    while (this.state !== "abandoned") {
      const request = { as: wish.as, key: wish.key, body: { items: wish.items }, timeoutMs: 15_000 };
      // Told by what it has: an error of Node's own is no instance of jest's Error.
      const answer: HttpAnswer | { readonly message: string } = await this.#system
        .api("/orders", request)
        .catch((error: Error) => error);
      if ("status" in answer && !isOpen(answer.status)) {
        wish.answers.push(answer);
        wish.answeredAt ||= performance.now();
        return;
      }
      const what = "status" in answer ? `${answer.status} ${answer.body?.code}` : NO_ANSWER;
      this.open.set(what, (this.open.get(what) ?? 0) + 1);
      if (performance.now() > deadline) {
        const last = "status" in answer ? answer.text : answer.message;
        throw new Error(`no definite answer for ${wish.key} within ${patienceMs} ms: ${last}`);
      }
      await wait(100);
    }
  }
}

/** The id of no product. */
const nothing = "01990000-0000-7000-8000-00000000dead";
const hopeless: readonly string[] = [nothing, DEMO_PRODUCTS.soldOut];

/** Mostly what succeeds, some of everything that does not: stock that runs out, unknown products, inactive customers. */
function newWish(random: Random): Wish {
  const { plenty, scarce, soldOut } = DEMO_PRODUCTS;
  const line = (productId: string, most = 3) => ({ productId, quantity: random.between(1, most) });
  const kind = random.next();
  const also =
    kind < 0.08 ? [line(soldOut)] : kind < 0.25 ? [line(scarce, 1)] : kind < 0.3 ? [line(nothing)] : [];
  const as = random.chance(0.05) ? "inactiveCustomer" : random.chance(0.3) ? "otherCustomer" : "customer";
  return {
    key: `wish-${randomUUID()}`,
    as,
    items: [line(plenty), ...also],
    canSucceed: as !== "inactiveCustomer" && !also.some((one) => hopeless.includes(one.productId)),
    answers: [],
    answeredAt: 0,
  };
}
