import { factsOf } from "../../lib/errors.ts";
import { claimOf } from "./idempotency-key.ts";
import type { ApiRequest, Call, Reply } from "./request.ts";

/**
 * Performs a request once per key, where the client has sent one: for operations that may be repeated without harm, but
 * whose key has to mean one request all the same. The key is leased, the work done, the answer stored; if this process
 * dies in between, a repetition does the work again when the lease has ended.
 * @throws IDEMPOTENCY_KEY_INVALID, IDEMPOTENCY_KEY_REUSED, REQUEST_IN_PROGRESS, and what `perform` throws
 */
export async function underKey(
  { principal, headers }: Pick<ApiRequest, "principal" | "headers">,
  call: Call,
  asked: { readonly operation: string; readonly params: object },
  perform: () => Promise<Reply>,
): Promise<Reply> {
  const header = headers["idempotency-key"];
  if (header === undefined) return perform();
  const claim = claimOf(principal.subject, asked.operation, header, asked.params);
  const { attempt, known } = await call("saga.beginKey", { claim });
  if (known) {
    const { status, headers: stored, body } = known;
    return { status, headers: { ...stored, "idempotent-replayed": "true" }, body };
  }
  const reply = await perform().catch(async (error: unknown) => {
    // What may have happened keeps its key until the lease ends; so does a key that cannot be given back now.
    const released = hasChangedNothing(error) && call("saga.releaseKey", { claim, attempt });
    await Promise.allSettled([released]);
    throw error;
  });
  const answer = { status: reply.status, headers: reply.headers ?? {}, body: reply.body };
  await call("saga.finishKey", { claim, attempt, answer });
  return reply;
}

const UNTOUCHED = ["DATABASE_UNAVAILABLE", "OVERLOADED", "DEADLINE_PASSED", "SERVICE_NOT_FOUND"];

function hasChangedNothing(error: unknown): boolean {
  const { status, type } = factsOf(error);
  return (status >= 400 && status < 500) || UNTOUCHED.includes(type);
}
