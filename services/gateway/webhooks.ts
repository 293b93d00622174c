import type { IncomingHttpHeaders } from "node:http";
import { type Call, ok, type Reply } from "./request.ts";

/** A request that carries no token but a signature over its body; whether that holds is for the service to say. */
export interface SignedRequest {
  readonly path: Readonly<Record<string, string>>;
  readonly headers: IncomingHttpHeaders;
  /** As it was sent. */
  readonly body: string;
}

/** POST /payments/webhooks/:provider. What is answered 200 is committed; anything else the provider sends again. */
export async function receiveWebhook({ path, headers, body }: SignedRequest, call: Call): Promise<Reply> {
  const provider = path.provider ?? "";
  return ok(await call("payment.webhook", { provider, body, headers: signaturesOf(headers) }));
}

/** The headers that hold signatures (stripe-signature, x-psp-signature, ...). The others are nobody's business. */
function signaturesOf(headers: IncomingHttpHeaders): Record<string, string> {
  return Object.fromEntries(
    Object.entries(headers).flatMap(([name, value]) =>
      name.endsWith("-signature") && typeof value === "string" ? [[name, value]] : [],
    ),
  );
}
