import { randomUUID } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import type { Page } from "../../lib/contracts.ts";

/** Refused, or not there: asking again changes nothing. */
export class RefusedError extends Error {
  readonly status: number;
  readonly code: string;
  constructor(status: number, code: string, message: string) {
    super(message);
    this.name = "RefusedError";
    this.status = status;
    this.code = code;
  }
}

/** Nobody answers, or the answer is that a part is away. Whether something was done is not known. */
export class UnreachableError extends Error {
  constructor(message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.name = "UnreachableError";
  }
}

type Query = Readonly<Record<string, string | number | boolean | undefined>>;

/** The operators' part of the API, as verbs ask it. */
export interface OpsApi {
  /** @throws RefusedError, UnreachableError */
  get<View>(path: string, query?: Query): Promise<View>;
  /** Under one key however often it is sent: it is done once. @throws RefusedError, UnreachableError */
  post<View>(path: string, body: object): Promise<View>;
}

export interface Target {
  /** Up to and with /api. */
  readonly url: string;
  readonly token: string;
}

interface Problem {
  readonly code?: string;
  readonly detail?: string;
  readonly errors?: readonly { readonly field: string; readonly message: string }[];
}

const ANSWER_MS_MAX = 20_000;
/** Waits between tries: a gateway that is being restarted is back within them. */
const PAUSES_MS = [300, 1_000, 2_000];
const AGAIN: readonly number[] = [429, 502, 503, 504];

export function openApi(target: Target): OpsApi {
  return {
    get: <View>(path: string, query: Query = {}) => {
      const search = new URLSearchParams();
      for (const [name, value] of Object.entries(query))
        if (value !== undefined) search.set(name, String(value));
      return ask<View>(target, search.size === 0 ? path : `${path}?${search}`, { method: "GET" });
    },
    post: <View>(path: string, body: object) => {
      const headers = { "content-type": "application/json", "idempotency-key": randomUUID() };
      return ask<View>(target, path, { method: "POST", headers, body: JSON.stringify(body) });
    },
  };
}

async function ask<View>({ url, token }: Target, path: string, init: RequestInit): Promise<View> {
  const headers = { ...init.headers, authorization: `Bearer ${token}` };
  for (let tries = 0; ; tries += 1) {
    const pauseMs = PAUSES_MS[tries];
    try {
      const signal = AbortSignal.timeout(ANSWER_MS_MAX);
      const answer = await fetch(url + path, { ...init, headers, signal });
      if (answer.ok) return (await answer.json()) as View;
      const problem = await problemOf(answer);
      const isInHand = answer.status === 409 && problem.code === "REQUEST_IN_PROGRESS";
      if (!isInHand && !AGAIN.includes(answer.status)) throw refusal(answer.status, problem);
      if (pauseMs === undefined)
        throw new UnreachableError(`${url} answers ${sentence(answer.status, problem)}`);
    } catch (cause) {
      if (cause instanceof RefusedError || cause instanceof UnreachableError) throw cause;
      if (pauseMs === undefined)
        throw new UnreachableError(`cannot reach ${url}: ${reasonOf(cause)}`, { cause });
    }
    await delay(pauseMs);
  }
}

/** An answer that is not ours, of a proxy in between, has no code. */
async function problemOf(answer: Response): Promise<Problem> {
  const text = await answer.text();
  try {
    return JSON.parse(text) as Problem;
  } catch {
    return { detail: text.slice(0, 200) };
  }
}

function refusal(status: number, problem: Problem): RefusedError {
  return new RefusedError(status, problem.code ?? "UNKNOWN", sentence(status, problem));
}

function sentence(status: number, { code = "", detail = "", errors = [] }: Problem): string {
  const fields = errors.map(({ field, message }) => `${field}: ${message}`);
  return [`${status} ${code}`.trim(), ...(fields.length > 0 ? fields : [detail])].join(": ");
}

/** fetch says no more than that it failed; why is its cause. */
function reasonOf(error: unknown): string {
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  return cause instanceof Error ? cause.message || cause.name : String(cause);
}

const PAGE_SIZE = 100;

/** The newest of a list, over as many pages as it takes. */
export async function newest<Item>(api: OpsApi, path: string, query: Query, limit: number): Promise<Item[]> {
  const found: Item[] = [];
  let cursor: string | undefined;
  do {
    const size = Math.min(PAGE_SIZE, limit - found.length);
    const page = await api.get<Page<Item>>(path, { ...query, limit: size, cursor });
    found.push(...page.items);
    cursor = page.nextCursor;
  } while (cursor !== undefined && found.length < limit);
  return found;
}
