import { bodyReader, text } from "./body-schema.ts";
import { type ApiRequest, type Call, ok, type Reply } from "./request.ts";

interface Revocation {
  readonly subject: string;
  readonly version?: number;
  readonly reason: string;
}

/** Room for the time in milliseconds, and above it for many more revocations that only count on. */
const VERSION_MAX = 1_000_000_000_000_000;

export const revocationBody = bodyReader<Revocation>({
  subject: { type: "string", pattern: /^[\x21-\x7e]{1,64}$/, json: { examples: ["somebody"] } },
  version: { type: "number", integer: true, min: 1, max: VERSION_MAX, optional: true },
  reason: { ...text(1_000), min: 3, json: { examples: ["a lost laptop"] } },
});

/** POST /ops/tokens/revoke: from now on the subject's tokens below the version that this answers are refused. */
export async function revokeTokens({ principal, body }: ApiRequest<Revocation>, call: Call): Promise<Reply> {
  return ok(await call("customer.revokeTokens", { ...body, actor: principal.subject }));
}
