import { randomUUID } from "node:crypto";
import { Agent } from "node:http";
import { setTimeout as wait } from "node:timers/promises";
import type { Person } from "../../../scripts/demo/tokens.ts";
import { assertKept } from "../../support/contract.ts";
import { type HttpAnswer, http } from "../../support/http.ts";
import type { Random } from "../../support/random.ts";
import type { Cluster } from "./cluster.ts";
import { type Answer, type Asked, type History, isAccepted } from "./history.ts";
import { itemsOf, METHODS } from "./wishes.ts";

export interface CustomersOptions {
  readonly cluster: Pick<Cluster, "apis" | "tokens">;
  readonly history: History;
  readonly random: Random;
  /** Each waits for its answers before it goes on: what is under way is bounded by their number. */
  readonly customers: number;
  readonly storiesPerSecond: number;
}

/** Outcomes to be asked for again under the same key; anything else is an answer. */
const isOpen = ({ status, code }: Answer) =>
  status >= 500 || status === 429 || (status === 409 && code === "REQUEST_IN_PROGRESS");
const requestMsMax = 8_000;
/** A story that does not come to its end is left: whether it should have is for the checks at the end. */
const storyMsMax = 60_000;

class StoryEnded extends Error {}

const shortOf = (answer: Answer | undefined) =>
  answer === undefined ? "no answer" : `${answer.status} ${answer.code}`;

/** People who order, pay, cancel and get money back, with clients that do not give up. */
export class Customers {
  readonly #options: CustomersOptions;
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 200 });
  readonly #working: Promise<void>[];
  #state: "running" | "ending" | "abandoned" = "running";

  constructor(options: CustomersOptions) {
    this.#options = options;
    this.#working = Array.from({ length: options.customers }, () => this.#customer());
  }

  /** No new stories; resolves when each request has its definite answer, or after this time. */
  async end(timeoutMs: number): Promise<void> {
    this.#state = "ending";
    const abandoning = setTimeout(() => {
      this.#state = "abandoned";
    }, timeoutMs);
    await Promise.all(this.#working);
    clearTimeout(abandoning);
    // From here on requests are made by hand alone: see again().
    this.#state = "running";
  }

  close(): void {
    this.#agent.destroy();
  }

  /** Asks once more for what has its answer. */
  async again(asked: Asked): Promise<void> {
    await this.#pursue(asked);
  }

  async #customer(): Promise<void> {
    const { customers, storiesPerSecond, random } = this.#options;
    const paceMs = (1_000 * customers) / storiesPerSecond;
    await wait(random.between(0, Math.round(paceMs)));
    while (this.#state === "running") {
      const startedAt = performance.now();
      try {
        await this.#story();
      } catch (error) {
        if (!(error instanceof StoryEnded)) throw error;
      }
      await wait(Math.max(0, paceMs - (performance.now() - startedAt)));
    }
  }

  async #story(): Promise<void> {
    const { random } = this.#options;
    const as: Person = random.chance(0.3)
      ? "otherCustomer"
      : random.chance(0.04)
        ? "inactiveCustomer"
        : "customer";
    const order = await this.#ask("create", as, "/orders", { items: itemsOf(random) });
    const orderId = String(order.body.orderId);
    if (random.chance(0.05)) {
      // Changes its mind while the order is still being made.
      await this.#ask("cancel", as, `/orders/${orderId}/cancel`, {});
      return;
    }
    const status = await this.#becomes("order", orderId, as, (one) => one !== "draft");
    if (random.chance(0.05)) await this.#askInVain(orderId, as);
    if (status !== "created") return;
    const next = random.next();
    if (next < 0.2) await this.#cancel(orderId, as);
    else if (next < 0.85) await this.#pay(orderId, as);
  }

  async #pay(orderId: string, as: Person): Promise<void> {
    const { random } = this.#options;
    const method = METHODS[random.between(0, METHODS.length - 1)];
    const answer = await this.#ask("pay", as, `/orders/${orderId}/pay`, { paymentMethod: method });
    const transactionId = String(answer.body.transactionId);
    const end = (state: string) => state === "CONFIRMED" || state === "CANCELLED";
    const state = await this.#becomes("transaction", transactionId, as, end);
    if (state !== "CONFIRMED") return;
    if (random.chance(0.25)) await this.#cancel(orderId, as);
    else if (random.chance(0.35)) await this.#refund(orderId);
  }

  async #cancel(orderId: string, as: Person): Promise<void> {
    await this.#ask("cancel", as, `/orders/${orderId}/cancel`, {});
    await this.#becomes("order", orderId, as, (status) => status === "cancelled");
  }

  async #refund(orderId: string): Promise<void> {
    const payments = await this.#look(`/orders/${orderId}/payments`, "staff", ({ body }) => {
      const items = (body.items ?? []) as readonly { paymentId: string; status: string }[];
      return items.find(({ status }) => status === "captured");
    });
    const body = { amountMinor: this.#options.random.between(1, 300), reason: "a dent" };
    await this.#ask("refund", "staff", `/payments/${payments.paymentId}/refund`, body);
  }

  /** What is refused: paying another's order, and a key of another request. */
  async #askInVain(orderId: string, as: Person): Promise<void> {
    const other: Person = as === "customer" ? "otherCustomer" : "customer";
    const { asked } = this.#options.history;
    const used = asked.find((one) => one.operation === "create" && one.as === as && one.answers.length > 0);
    if (used !== undefined && this.#options.random.chance(0.5))
      await this.#ask("pay", as, `/orders/${orderId}/pay`, { paymentMethod: "sim_ok" }, used.key);
    else
      await this.#ask("pay", other, `/orders/${orderId}/pay`, { paymentMethod: "sim_ok" }, undefined, true);
  }

  /** Sends it until the answer is definite. @throws StoryEnded when that is a refusal */
  async #ask(
    operation: Asked["operation"],
    as: Person,
    path: string,
    body: object,
    usedKey?: string,
    refusable = usedKey !== undefined,
  ): Promise<Answer> {
    const { history, random } = this.#options;
    const key = usedKey ?? randomUUID();
    const firstSentAt = performance.now();
    const asked: Asked = {
      operation,
      key,
      as,
      path,
      body,
      refusable,
      firstSentAt,
      answeredAt: 0,
      unknowns: 0,
      answers: [],
    };
    history.asked.push(asked);
    const answer = await this.#pursue(asked);
    asked.answeredAt = performance.now();
    history.latencies.push({ at: asked.answeredAt, ms: asked.answeredAt - firstSentAt });
    if (!isAccepted(answer)) throw new StoryEnded();
    // A client that lost the answer asks again, be it long after.
    const earlier = random.chance(0.1)
      ? history.asked[random.between(0, history.asked.length - 1)]
      : undefined;
    if (earlier?.answers.some(isAccepted)) await this.#pursue(earlier);
    return answer;
  }

  async #pursue(asked: Asked): Promise<Answer> {
    for (;;) {
      if (this.#state === "abandoned") throw new StoryEnded();
      const headers = { "idempotency-key": asked.key, "content-type": "application/json" };
      const answer = await this.#send("POST", asked.path, asked.as, headers, JSON.stringify(asked.body));
      if (answer !== undefined && !isOpen(answer)) {
        asked.answers.push(answer);
        return answer;
      }
      asked.unknowns += 1;
      this.#options.history.count(shortOf(answer));
      await wait(100 + this.#options.random.between(0, 200));
    }
  }

  /** Looks until the state is one that is waited for, and remembers each that was shown. */
  async #becomes(
    what: "order" | "transaction",
    id: string,
    as: Person,
    isEnd: (state: string) => boolean,
  ): Promise<string> {
    const startedAt = performance.now();
    const path = what === "order" ? `/orders/${id}` : `/transactions/${id}`;
    const state = await this.#look(path, as, ({ body }) => {
      const shown = String(what === "order" ? body.status : body.state);
      this.#options.history.saw(what, id, shown);
      return isEnd(shown) ? shown : undefined;
    });
    this.#options.history.goals.push({ at: performance.now(), ms: performance.now() - startedAt });
    return state;
  }

  async #look<Found>(path: string, as: Person, find: (answer: Answer) => Found | undefined): Promise<Found> {
    const deadline = performance.now() + storyMsMax;
    while (performance.now() < deadline && this.#state !== "abandoned") {
      const answer = await this.#send("GET", path, as, { prefer: "wait=2" });
      const found = answer?.status === 200 ? find(answer) : undefined;
      if (found !== undefined) return found;
      if (answer?.status !== 200) this.#options.history.sawNothing(shortOf(answer));
      await wait(100);
    }
    throw new StoryEnded();
  }

  /** Undefined: no answer. */
  async #send(
    method: string,
    path: string,
    as: Person,
    headers: Readonly<Record<string, string>>,
    body?: string,
  ): Promise<Answer | undefined> {
    const { cluster, random, history } = this.#options;
    const api = cluster.apis[random.between(0, cluster.apis.length - 1)] ?? "";
    const authorization = `Bearer ${cluster.tokens[as]}`;
    let answer: HttpAnswer;
    try {
      answer = await http(api + path, {
        method,
        headers: { ...headers, authorization },
        body,
        agent: this.#agent,
        timeoutMs: requestMsMax,
      });
    } catch {
      // Whatever broke: it may have been carried out, or not. That is what the key is for.
      return undefined;
    }
    try {
      assertKept(method, path, answer);
    } catch (error) {
      history.broken.add(error instanceof Error ? error.message : String(error));
    }
    const { status, text, body: read = {} } = answer;
    // Documented, and still a bug of ours whenever it is seen.
    if (status === 500) history.broken.add(`${method} ${path} was answered 500: ${text}`);
    return { status, text, body: read, code: typeof read.code === "string" ? read.code : undefined };
  }
}
