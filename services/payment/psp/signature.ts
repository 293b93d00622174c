import { createHmac, timingSafeEqual } from "node:crypto";
import { WebhookSignatureError, WebhookTooOldError } from "../payment.errors.ts";

/** Signatures of webhooks as Stripe made them common: `t=<seconds>,v1=<hex>`, HMAC-SHA256 over `t.body`. */

export const TOLERANCE_SECONDS = 300;

export function sign(body: string, secret: string, atSeconds: number): string {
  return `t=${atSeconds},v1=${digest(body, secret, String(atSeconds)).toString("hex")}`;
}

function digest(body: string, secret: string, time: string): Buffer {
  return createHmac("sha256", secret).update(`${time}.${body}`).digest();
}

/**
 * Holds when any signature in the header was made with any of our secrets: both may be two while one is
 * replaced by the next.
 * @throws WebhookSignatureError, WebhookTooOldError
 */
export function verifySignature(
  header: string | undefined,
  body: string,
  secrets: readonly string[],
  nowSeconds: number,
): void {
  const parts = (header ?? "").split(",").map((part) => part.trim().split("="));
  const time = parts.find(([name]) => name === "t")?.[1] ?? "";
  const given = parts.flatMap(([name, hex]) => (name === "v1" && hex ? [Buffer.from(hex, "hex")] : []));
  if (!/^\d{1,12}$/.test(time)) throw new WebhookSignatureError();
  const holds = secrets.some((secret) => {
    const expected = digest(body, secret, time);
    return given.some((one) => one.length === expected.length && timingSafeEqual(one, expected));
  });
  // The age only of what is genuine: to a forger both look the same.
  if (!holds) throw new WebhookSignatureError();
  if (Math.abs(nowSeconds - Number(time)) > TOLERANCE_SECONDS) throw new WebhookTooOldError();
}
