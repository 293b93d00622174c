import { type ApiRequest, type Reply, waitOf } from "./request.ts";

/** Of sagas and of transactions. */
const ENDS: readonly string[] = ["COMPLETED", "COMPENSATED", "CONFIRMED", "CANCELLED"];

export const hasEnded = ({ state }: { readonly state: string }): boolean => ENDS.includes(state);

export const ifEnded = <View extends { readonly state: string }>(view: View): View | undefined =>
  hasEnded(view) ? view : undefined;

/**
 * What was accepted; or, where the client prefers to wait (RFC 7240) and it ends in time, what its Location answers
 * from then on. One request in place of two: a quarter of Node's time for a payment.
 *
 * @param end waits, and answers undefined when it has not ended
 */
export async function settled(
  request: Pick<ApiRequest, "headers" | "waiting">,
  accepted: Reply,
  end: (wait: NonNullable<ReturnType<typeof waitOf>>) => Promise<unknown>,
): Promise<Reply> {
  const wait = waitOf(request);
  if (!wait) return accepted;
  const headers = { ...accepted.headers, ...wait.applied };
  const body = await request.waiting(() => end(wait));
  return body === undefined ? { ...accepted, headers } : { status: 200, headers, body };
}
