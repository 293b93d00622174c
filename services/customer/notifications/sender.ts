import { request as requestHttp } from "node:http";
import { Agent, request as requestHttps } from "node:https";
import { type Config, ConfigError } from "../../../lib/config.ts";
import { faults, passPoint } from "../../../lib/fault-points.ts";
import { isInside, lookupOutside } from "../../../lib/outside-address.ts";
import { signatureHeaders } from "./notification.ts";

export interface Delivery {
  /** 2xx. */
  readonly isGood: boolean;
  readonly status?: number;
  readonly error?: string;
}

export interface Sender {
  readonly url: string;
  /** Sends it once. Never throws: what goes wrong is in the answer. */
  send(notification: { readonly eventId: string; readonly body: string }): Promise<Delivery>;
  close(): void;
}

/**
 * Who tells the outside of orders, where NOTIFICATION_URL says so. It follows no redirects, and reaches nothing in our
 * own network unless it is allowed to.
 * @throws ConfigError an address that may not be, or no secrets
 */
export function openSender(config: Config): Sender | undefined {
  const {
    NOTIFICATION_URL: given,
    NOTIFICATION_SECRETS: secrets,
    NOTIFICATION_TIMEOUT_MS: timeoutMs,
  } = config;
  if (given === undefined) return undefined;
  if (secrets === undefined) throw new ConfigError("NOTIFICATION_SECRETS", "NOTIFICATION_URL needs one");
  const url = new URL(given);
  const isAnywhere = config.NOTIFICATION_ALLOW_PRIVATE || config.DEMO;
  if (!isAnywhere) assertOutside(url);
  const isSecure = url.protocol === "https:";
  const agent = isSecure ? new Agent({ keepAlive: true, maxFreeSockets: 4 }) : undefined;
  const options = {
    method: "POST",
    ...(agent && { agent }),
    ...(!isAnywhere && { lookup: lookupOutside }),
    ...(url.username !== "" && {
      auth: `${decodeURIComponent(url.username)}:${decodeURIComponent(url.password)}`,
    }),
  };
  const post = (body: string, headers: Readonly<Record<string, string>>) =>
    new Promise<number>((resolve, reject) => {
      const ask = isSecure ? requestHttps : requestHttp;
      const sending = ask(
        url,
        { ...options, headers, signal: AbortSignal.timeout(timeoutMs) },
        (response) => {
          // What is said beside the status is nothing to us, and may be endless.
          response.destroy();
          resolve(response.statusCode ?? 0);
        },
      );
      sending.on("error", reject);
      sending.end(body);
    });
  return {
    url: shownUrl(url),
    async send(notification) {
      const headers = {
        "content-type": "application/json; charset=utf-8",
        "content-length": String(Buffer.byteLength(notification.body)),
        "user-agent": "Holdfast",
        ...signatureHeaders(notification, secrets, Math.floor(Date.now() / 1_000)),
      };
      try {
        if (faults.armed) await passPoint("notification.before-send");
        const status = await post(notification.body, headers);
        if (faults.armed) await passPoint("notification.after-answer");
        const isGood = status >= 200 && status < 300;
        return { isGood, status, ...(!isGood && { error: `answered ${status}` }) };
      } catch (error) {
        return { isGood: false, error: reasonOf(error, timeoutMs) };
      }
    },
    close: () => agent?.destroy(),
  };
}

function assertOutside(url: URL): void {
  if (url.protocol !== "https:")
    throw new ConfigError("NOTIFICATION_URL", "notifications are sent by https only");
  if (isInside(url.hostname))
    throw new ConfigError(
      "NOTIFICATION_URL",
      "its address is in a private network; NOTIFICATION_ALLOW_PRIVATE=true lets it be",
    );
}

/** Without what may be a secret: user, password and query. */
function shownUrl({ origin, pathname }: URL): string {
  return origin + pathname;
}

function reasonOf(error: unknown, timeoutMs: number): string {
  if (!(error instanceof Error)) return String(error);
  if (error.name === "TimeoutError" || error.name === "AbortError") return `no answer within ${timeoutMs} ms`;
  const code = "code" in error && typeof error.code === "string" ? error.code : "";
  return [code, error.message]
    .filter((part) => part !== "")
    .join(": ")
    .slice(0, 500);
}
