import type { IncomingHttpHeaders } from "node:http";
import type { ActionName, Actions } from "../../lib/actions.ts";
import type { IdempotentAnswer, Viewer } from "../../lib/contracts.ts";
import { NotFoundError } from "../../lib/errors.ts";
import type { PersonalData } from "../../lib/personal-data/personal-data.ts";
import type { Principal, Role } from "./auth.ts";
import type { Follow } from "./event-streams.ts";

/** A request as far as its handler sees it: its sender is known, its body and query are checked. */
export interface ApiRequest<Body = unknown, Query = unknown> {
  readonly principal: Principal;
  readonly headers: IncomingHttpHeaders;
  /** What the path holds at its `:names`, decoded. */
  readonly path: Readonly<Record<string, string>>;
  readonly query: Query;
  readonly body: Body;
  /** Encrypts what goes in, decrypts what comes out: nothing behind the gateway has the keys. */
  readonly personalData: PersonalData;
  readonly waiting: Waiting;
}

/**
 * Waits for what the request has begun, and makes room for others meanwhile. Undefined when too many wait already, or
 * when it cannot be known: what has been accepted stays accepted.
 */
export type Waiting = <Result>(end: () => Promise<Result>) => Promise<Result | undefined>;

/** A request as it came: its body is parsed, and neither it nor the query is checked yet. */
export type RawRequest = ApiRequest<unknown, Readonly<Record<string, unknown>>>;

export interface Reply {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body: unknown;
  /** In place of a body: a stream of what becomes of an order. */
  readonly follow?: Follow;
}

/** Calls an action of another service within the request. */
export type Call = <Name extends ActionName>(
  action: Name,
  params: Actions[Name]["params"],
  options?: { readonly timeout?: number },
) => Promise<Actions[Name]["result"]>;

export const ok = (body: unknown): Reply => ({ status: 200, body });

/** The answer to a request under its key, stored or new. */
export function answerOf(
  { status, headers, body, replayed }: IdempotentAnswer<unknown>,
  more: Readonly<Record<string, string>> = {},
): Reply {
  return {
    status,
    headers: { ...more, ...headers, ...(replayed && { "idempotent-replayed": "true" }) },
    body,
  };
}

/** What a waiting call may take on top of the wait. */
const ANSWER_MS = 5_000;

/** How a call that answers at an end is to be made: for as long as the client prefers to wait. Undefined: it does not. */
export function waitOf({ headers }: Pick<ApiRequest, "headers">) {
  const seconds = headers.prefer === undefined ? 0 : waitSecondsOf(headers);
  if (seconds === 0) return undefined;
  const waitMs = seconds * 1_000;
  const applied = { "preference-applied": `wait=${seconds}` };
  return { waitMs, applied, options: { timeout: waitMs + ANSWER_MS } };
}

export function hasRole(principal: Principal, ...roles: readonly Role[]): boolean {
  return roles.some((role) => principal.roles.includes(role));
}

/** Staff and operators see everybody's data, a customer only their own. */
export function viewerOf(principal: Principal): Viewer {
  return hasRole(principal, "staff", "operator") ? {} : { customerId: principal.subject };
}

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

/** An id in the path. What cannot be an id names nothing. @throws NotFoundError */
export function idIn(request: ApiRequest, name: string, what: string): string {
  const id = request.path[name]?.toLowerCase() ?? "";
  if (!UUID.test(id)) throw new NotFoundError(what, id.slice(0, 64));
  return id;
}

const WAIT = /(?:^|,)\s*wait\s*=\s*"?(\d{1,6})"?\s*(?:[,;]|$)/i;
const WAIT_SECONDS_MAX = 30;

/** `Prefer: wait=N` of RFC 7240, in whole seconds; 0 when the client does not ask to wait. */
export function waitSecondsOf(headers: IncomingHttpHeaders): number {
  const prefer = headers.prefer;
  const given = WAIT.exec(Array.isArray(prefer) ? prefer.join(",") : (prefer ?? ""))?.[1];
  return given === undefined ? 0 : Math.min(Number(given), WAIT_SECONDS_MAX);
}
