import { randomUUID } from "node:crypto";
import type { HttpAnswer } from "../http.ts";
import type { ApiRequest, System } from "../system.ts";
import { addressOf, bytesOf, type Draft } from "./draft.ts";
import { OPERATIONS } from "./operations.ts";

/** What tells of our insides: files, stacks, statements, the database's own words. */
export const INSIDES =
  /\.ts\b|node_modules| {2,}at |\b(select|insert|update|delete) .*\b(from|into|set)\b|\$1|\brelation "|postgres|violates/i;

/** Ids that the system has given out, by what they are ids of: what requests name has mostly to be there. */
export class Scene {
  readonly system: System;
  readonly #ids = new Map<string, string[]>();
  /** Addresses at which it is taken back. */
  readonly #tried: string[] = [];

  constructor(system: System) {
    this.system = system;
    this.#ids.set(
      "foreign",
      Array.from({ length: 12 }, () => randomUUID()),
    );
  }

  idsOf(kind: string): readonly string[] {
    return this.#ids.get(kind) ?? [];
  }

  /** Takes up what is there already. */
  async look(): Promise<void> {
    for (const path of ["/orders", "/products", "/customers"]) await this.#list(path, "staff");
    for (const path of ["/ops/sagas", "/ops/transactions"]) await this.#list(path, "operator");
    for (const orderId of this.idsOf("orderId")) await this.#list(`/orders/${orderId}/payments`, "staff");
    this.#ids.set("endedSagaId", [...this.idsOf("sagaId")]);
  }

  async #list(path: string, as: "staff" | "operator"): Promise<void> {
    this.take((await this.system.api(path, { as })).body);
  }

  take(value: unknown): void {
    if (typeof value !== "object" || value === null) return;
    for (const [name, one] of Object.entries(value)) {
      if (typeof one !== "string") this.take(one);
      else if (KINDS.has(name)) this.#add(name === "nextCursor" ? "cursor" : name, one);
    }
  }

  /** The latest ones are kept: what is in hand is where requests meet. */
  #add(kind: string, id: string): void {
    const known = this.#ids.get(kind) ?? [];
    if (!known.includes(id)) this.#ids.set(kind, [...known, id].slice(-KEPT_MAX));
  }

  /** The request with ids for the names of such. */
  real(draft: Draft): Draft {
    return {
      ...draft,
      path: mapped(draft.path, (text) => this.#filled(text)),
      query: draft.query.map(([name, text]) => [name, this.#filled(text)] as const),
      body: draft.body && { ...draft.body, text: this.#filled(draft.body.text) },
    };
  }

  #filled(text: string): string {
    return text.replace(/@id:(\w+):(\d+)@/g, (_, kind: string, which: string) => {
      const known = this.idsOf(kind);
      const id = known[Number(which) % Math.max(known.length, 1)] ?? NOBODY;
      return kind !== "cursor" && Number(which) % 11 === 10 ? id.toUpperCase() : id;
    });
  }

  /** A try that has, or may have, come to something. */
  #note({ operation, body }: Draft): void {
    const part = TRIES[operation.id];
    if (part === undefined) return;
    const { gid, orderId } = JSON.parse(body?.text ?? "{}");
    this.#tried.push(`/${part}/cancel/${gid ?? orderId}`);
  }

  /** What coordinators of their own have tried and left is taken back. */
  async letGo(): Promise<void> {
    for (const path of this.#tried) await this.system.api(path, { method: "POST", as: "service" });
  }

  /** Sends it; the client holds the answer against the document. */
  async send(draft: Draft): Promise<HttpAnswer> {
    const { sender, body, headers, operation } = draft;
    const identity: ApiRequest = typeof sender === "string" ? { as: sender } : sender;
    const raw = body && bytesOf(body);
    // Without its length a body where Node expects none would be the next request.
    const framed = raw && { raw, headers: { ...headers, "content-length": String(raw.length) } };
    const request: ApiRequest = { ...identity, method: operation.method, headers, ...framed, endless: true };
    const answer = await this.system.api(addressOf(draft), request);
    this.take(answer.body);
    if (answer.status < 400 || answer.status === 503) this.#note(draft);
    return answer;
  }
}

const TRIES: Readonly<Record<string, string>> = { tryStock: "products/stock", tryPayment: "payments" };
const KEPT_MAX = 40;
const NOBODY = "01990000-0000-7000-8000-00000000dead";
const KINDS = new Set(["nextCursor", ...OPERATIONS.flatMap(({ path }) => path.map(({ name }) => name))]);

function mapped(
  all: Readonly<Record<string, string>>,
  map: (text: string) => string,
): Record<string, string> {
  return Object.fromEntries(Object.entries(all).map(([name, text]) => [name, map(text)]));
}
