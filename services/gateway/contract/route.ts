import type { ActionName } from "../../../lib/actions.ts";
import type { Role } from "../auth.ts";
import type { BodyReader } from "../body-schema.ts";
import { type QueryOf, type QueryReaders, readQuery } from "../query.ts";
import type { ApiRequest, Call, RawRequest, Reply } from "../request.ts";
import type { SignedRequest } from "../webhooks.ts";
import type { JsonSchema } from "./json-schema.ts";
import type { ProblemCode } from "./problems.ts";
import { serializerOf } from "./serializer.ts";

export const TAGS = {
  orders: "Placing orders and following them.",
  payments: "Paying, looking at payments, giving money back.",
  products: "What can be ordered, and how much of it there is.",
  customers: "Who may order.",
  coordinators: "Try, confirm and cancel, for those who coordinate a transaction of their own.",
  operations: "What is stuck, and how it is freed.",
} as const;
export type Tag = keyof typeof TAGS;

/** What the contract says of a route: the OpenAPI document, the checks and the answers come from here alone. */
export interface Described {
  /** `operationId`. */
  readonly id: string;
  readonly tag: Tag;
  readonly summary: string;
  readonly more?: string;
  readonly method: "GET" | "POST" | "PUT";
  /** Below /api. */
  readonly path: string;
  /** What answers it in the first place. */
  readonly action: ActionName;
  readonly status: 200 | 201 | 202;
  readonly answer: JsonSchema;
  /** The answer names where the thing is. */
  readonly located?: true;
  /** Idempotency-Key. */
  readonly key?: "required" | "optional";
  /** `Prefer: wait=N` lets the answer wait for the end of what it is about. */
  readonly waits?: true;
  /** `Prefer: wait=N` lets the answer be 200 and this, once what was accepted has ended. */
  readonly settles?: JsonSchema;
  /** It answers with a stream (text/event-stream), whose events hold what `answer` says; 204 when nothing more will come. */
  readonly streams?: true;
  /** A client may keep the answer, and has to ask whether it still holds. All others are not to be kept. */
  readonly cacheable?: true;
  /** Codes of refusals, beyond those that any such request may get. */
  readonly problems?: readonly ProblemCode[];
}

interface Ready extends Described {
  /** The answer's body as text. */
  readonly stringify: (body: unknown, status: number) => string;
  readonly body?: JsonSchema;
  /** Parameters of the query, by name. */
  readonly query: Readonly<Record<string, JsonSchema>>;
}

/** Whoever has none of `roles` is refused before anything else is looked at. */
export interface TokenRoute extends Ready {
  readonly roles: readonly Role[];
  /** A request without a body is as good as one with an empty object. */
  readonly optionalBody?: true;
  readonly signed?: never;
  readonly handle: (request: RawRequest, call: Call) => Promise<Reply>;
}

/** For outside parties that sign what they send and know no tokens. */
export interface SignedRoute extends Ready {
  readonly signed: true;
  readonly handle: (request: SignedRequest, call: Call) => Promise<Reply>;
}

/** One line of the public API. */
export type Route = TokenRoute | SignedRoute;

interface Handling<Body, Readers extends QueryReaders> {
  readonly roles: readonly Role[];
  readonly optionalBody?: true;
  readonly body?: BodyReader<Body>;
  readonly query?: Readers;
  /** Calls the action(s), and says what to answer. Body and query are checked. */
  readonly handle: (request: ApiRequest<Body, QueryOf<Readers>>, call: Call) => Promise<Reply>;
}

const NO_QUERY = {};

/** A route whose input is read by what the contract says of it, before its handler sees it. */
export function route<Body = undefined, const Readers extends QueryReaders = typeof NO_QUERY>(
  line: Described & Handling<Body, Readers>,
): TokenRoute {
  const { body: reader, query: readers = NO_QUERY as Readers, handle, ...described } = line;
  // Where nothing reads a body there is none: `Body` is undefined then.
  const bodyOf = (given: unknown) => reader?.(given === undefined ? {} : given) as Body;
  return {
    ...described,
    stringify: serializersOf(line),
    ...(reader && { body: reader.schema }),
    query: Object.fromEntries(Object.entries(readers).map(([name, one]) => [name, one.schema])),
    handle: async (request, call) => {
      const query = readQuery(request.query, readers);
      return handle({ ...request, query, body: bodyOf(request.body) }, call);
    },
  };
}

export function signedRoute(line: Described & Pick<SignedRoute, "signed" | "handle" | "body">): SignedRoute {
  return { ...line, stringify: serializersOf(line), query: NO_QUERY };
}

function serializersOf({ answer, settles, status }: Described): Ready["stringify"] {
  const accepted = serializerOf(answer);
  if (settles === undefined) return accepted;
  const settled = serializerOf(settles);
  return (body, given) => (given === status ? accepted(body) : settled(body));
}
