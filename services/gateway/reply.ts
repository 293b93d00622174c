import type { ServerResponse } from "node:http";
import { callAction } from "../../lib/define.ts";
import { authorise, type Gate } from "./authorise.ts";
import { readRaw } from "./body.ts";
import type { Route } from "./contract/route.ts";
import { type Call, type Reply, type Waiting, waitSecondsOf } from "./request.ts";
import { purposeOf, type Shedder } from "./shedding.ts";
import type { WebRequest } from "./web.ts";

export interface Desk extends Gate {
  /** How long a client waits that has not said otherwise. */
  readonly timeoutMs: number;
  readonly shedder: Shedder;
  /** The end of what was accepted cannot be waited for. */
  readonly onBlind: (request: WebRequest, error: unknown) => void;
}

/** What a request is answered, its deadline known to all that is called for it. @throws what it is refused for */
export async function replyTo(
  desk: Desk,
  route: Route,
  request: WebRequest,
  response: ServerResponse,
): Promise<Reply> {
  const { $ctx: ctx, headers, $params } = request;
  const waitMs = headers.prefer === undefined ? 0 : waitSecondsOf(headers) * 1_000;
  ctx.meta.deadline = Date.now() + waitMs + desk.timeoutMs;
  const call: Call = (action, params, options) => callAction(ctx, action, params, options);
  if (route.signed) {
    const signed = { path: $params.params, headers, body: await readRaw(request) };
    return withPlace(desk, route, request, () => route.handle(signed, call));
  }
  const asked = await authorise(desk, route, request, response);
  return withPlace(desk, route, request, (waiting) => route.handle({ ...asked, waiting }, call));
}

/**
 * Works on a request if there is room for it. It is here by now as a whole: whoever sends slowly takes nobody's place.
 * @throws OverloadedError
 */
async function withPlace(
  { shedder, onBlind }: Desk,
  route: Route,
  request: WebRequest,
  handle: (waiting: Waiting) => Promise<Reply>,
): Promise<Reply> {
  let purpose = purposeOf(route, request);
  const refusal = shedder.enter(purpose);
  if (refusal) throw refusal;
  const waiting: Waiting = async (end) => {
    if (shedder.enter("wait")) return undefined;
    shedder.leave(purpose);
    purpose = "wait";
    return end().catch((error: unknown) => {
      onBlind(request, error);
      return undefined;
    });
  };
  try {
    return await handle(waiting);
  } finally {
    shedder.leave(purpose);
  }
}
