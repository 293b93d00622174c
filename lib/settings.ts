import { isIP } from "node:net";
import { type Fault, parseFaults } from "./fault-points.ts";

/** Every setting of Holdfast: its name in the environment, how it is read, its default and what it is for. */

export const SERVICE_NAMES = ["order", "product", "payment", "customer", "saga", "gateway"] as const;
export type ServiceName = (typeof SERVICE_NAMES)[number];
/** Services with a database of their own. */
export const DATABASE_NAMES = ["order", "product", "payment", "customer", "saga"] as const;
export type DatabaseName = (typeof DATABASE_NAMES)[number];

export interface Setting<Value> {
  readonly read: (text: string) => Value | undefined;
  readonly expected: string;
  readonly fallback: Value;
  readonly about: string;
  /** It may also stand in a file that <name>_FILE names, and is never repeated in a message. */
  readonly secret?: true;
}

const define = <Value>(setting: Setting<Value>) => setting;

const text = (fallback: string, about: string) =>
  define<string>({ read: (given) => given, expected: "a text", fallback, about });

const optional = (about: string) =>
  define<string | undefined>({ read: (given) => given, expected: "a text", fallback: undefined, about });

const integer = (fallback: number, min: number, max: number, about: string) =>
  define<number>({
    read: (given) =>
      /^\d+$/.test(given) && Number(given) >= min && Number(given) <= max ? Number(given) : undefined,
    expected: `a whole number from ${min} to ${max}`,
    fallback,
    about,
  });

const port = (fallback: number, about: string) =>
  define<number | "auto">({
    read: (given) => {
      if (given === "auto" || given === "0") return "auto";
      return /^\d{1,5}$/.test(given) && Number(given) <= 65_535 ? Number(given) : undefined;
    },
    expected: "a port number, 0 or auto",
    fallback,
    about,
  });

const flag = (fallback: boolean, about: string) =>
  define<boolean>({
    read: (given) => ({ true: true, "1": true, false: false, "0": false })[given],
    expected: "true or false",
    fallback,
    about,
  });

const url = (schemes: readonly string[], about: string) =>
  define<string | undefined>({
    read: (given) => {
      const parsed = URL.canParse(given) ? new URL(given) : undefined;
      return parsed && schemes.includes(parsed.protocol.slice(0, -1)) ? given : undefined;
    },
    expected: `a URL that begins with ${schemes.map((scheme) => `${scheme}://`).join(" or ")}`,
    fallback: undefined,
    about,
  });

/** Servers of one cluster, comma-separated, all of one scheme: a client is either encrypted or not. */
const urls = (schemes: readonly string[], about: string) =>
  define<string | undefined>({
    read: (given) => {
      const found = given.split(",").map((one) => one.trim());
      const scheme = schemes.find((one) => found[0]?.startsWith(`${one}://`));
      const fits = (one: string) => URL.canParse(one) && new URL(one).protocol === `${scheme}:`;
      return scheme !== undefined && found.every(fits) ? found.join(",") : undefined;
    },
    expected: `a comma-separated list of URLs that all begin with ${schemes.map((scheme) => `${scheme}://`).join(" or ")}`,
    fallback: undefined,
    about,
  });

/** Networks as in 10.0.0.0/8, comma-separated; a lone address is a network of one. */
const networks = (about: string) =>
  define<readonly string[]>({
    read: (given) => {
      const found = given.split(",").map((one) => one.trim());
      return found.every(isNetwork) ? found : undefined;
    },
    expected: "a comma-separated list of networks such as 10.0.0.0/8",
    fallback: [],
    about,
  });

function isNetwork(text: string): boolean {
  const [address = "", prefix, ...rest] = text.split("/");
  const bits = { 0: -1, 4: 32, 6: 128 }[isIP(address)] ?? -1;
  return (
    bits > 0 &&
    rest.length === 0 &&
    (prefix === undefined || (/^\d{1,3}$/.test(prefix) && Number(prefix) <= bits))
  );
}

const brokers = (about: string) =>
  define<string | undefined>({
    read: (given) => (/^[\w.-]+:\d{1,5}( *, *[\w.-]+:\d{1,5})*$/.test(given) ? given : undefined),
    expected: "a comma-separated list of host:port",
    fallback: undefined,
    about,
  });

const choice = <const Choices extends readonly string[]>(
  choices: Choices,
  fallback: Choices[number],
  about: string,
) =>
  define<Choices[number]>({
    read: (given) => choices.find((one) => one === given),
    expected: `one of ${choices.join(", ")}`,
    fallback,
    about,
  });

const list = <const Choices extends readonly string[]>(choices: Choices, about: string) =>
  define<readonly Choices[number][]>({
    read: (given) => {
      const names = given.split(",").map((name) => name.trim());
      const found = names.flatMap((name) => choices.find((one) => one === name) ?? []);
      return found.length === names.length ? found : undefined;
    },
    expected: `a comma-separated list of ${choices.join(", ")}`,
    fallback: choices,
    about,
  });

const secret = <Value>(setting: Setting<Value>): Setting<Value> => ({ ...setting, secret: true });

const SECRET_LENGTH_MIN = 32;

const secrets = (about: string) =>
  secret<readonly string[] | undefined>({
    read: (given) => {
      const found = given.split(",").map((one) => one.trim());
      return found.every((one) => one.length >= SECRET_LENGTH_MIN) ? found : undefined;
    },
    expected: `a comma-separated list of secrets of at least ${SECRET_LENGTH_MIN} characters`,
    fallback: undefined,
    about,
  });

const POSTGRES = ["postgres", "postgresql"] as const;

export const SETTINGS = {
  SERVICES: list(SERVICE_NAMES, "Which services this process runs."),
  NODE_ID: optional("Name of this node; default host name and process id."),
  NAMESPACE: text("oms", "Moleculer namespace: clusters with different ones do not see each other."),
  HOST: text("127.0.0.1", "Address that the gateway and the internal port listen on."),
  PORT: port(3000, "Port of the public API."),
  TLS_CERT: optional("File with the certificate of the public API: with it, PORT speaks https."),
  TLS_KEY: optional("File with the key of TLS_CERT."),
  INTERNAL_PORT: port(3030, "Port of /metrics, /live and /ready."),
  DATA_DIR: text(".data", "Where npm start and npm run stack keep their data."),
  LOG_LEVEL: choice(
    ["fatal", "error", "warn", "info", "debug", "trace"],
    "info",
    "Least level that is logged.",
  ),
  LOG_FORMAT: choice(["json", "pretty"], "json", "JSON lines, or readable ones."),
  DATABASE_URL: secret(
    url(POSTGRES, "PostgreSQL server; <service> uses the database <name in the URL, default oms>_<service>."),
  ),
  ORDER_DATABASE_URL: secret(url(POSTGRES, "Database of the order service.")),
  PRODUCT_DATABASE_URL: secret(url(POSTGRES, "Database of the product service.")),
  PAYMENT_DATABASE_URL: secret(url(POSTGRES, "Database of the payment service.")),
  CUSTOMER_DATABASE_URL: secret(url(POSTGRES, "Database of the customer service.")),
  SAGA_DATABASE_URL: secret(url(POSTGRES, "Database of the saga service.")),
  BUS_DATABASE_URL: secret(url(POSTGRES, "Database of the PostgreSQL bus, where no Kafka is given.")),
  DATABASE_CONNECTIONS_MAX: integer(8, 2, 200, "Connections of each service to its database."),
  DATABASE_STATEMENT_TIMEOUT_MS: integer(5_000, 100, 600_000, "PostgreSQL ends a statement after this time."),
  DATABASE_LOCK_TIMEOUT_MS: integer(2_000, 50, 600_000, "PostgreSQL ends a wait for a lock after this time."),
  TRANSPORTER: secret(urls(["nats", "tls"], "NATS server(s) for RPC; none: all services in this process.")),
  DATABASE_CA: optional(
    "File with the authorities of PostgreSQL's certificate; with it, all of sslmode=verify-full.",
  ),
  DATABASE_CERT: optional("File with our certificate for PostgreSQL, where it asks for one."),
  DATABASE_KEY: optional("File with the key of DATABASE_CERT."),
  NATS_CA: optional("File with the authorities of the certificate of NATS (TRANSPORTER=tls://…)."),
  NATS_CERT: optional("File with our certificate for NATS, where it asks for one."),
  NATS_KEY: optional("File with the key of NATS_CERT."),
  NATS_USER: optional("User of NATS, where it does not stand in TRANSPORTER."),
  NATS_PASSWORD: secret(optional("Password of NATS_USER.")),
  NATS_TOKEN: secret(optional("Token for NATS, instead of a user.")),
  NATS_CREDS: secret(
    optional("Credentials for NATS, instead of a user; NATS_CREDS_FILE names a .creds file."),
  ),
  CLUSTER_SECRETS: secrets(
    "What seals the packets between nodes; the first seals, all open: two while they change. Required with TRANSPORTER.",
  ),
  KAFKA_BROKERS: brokers("Kafka brokers, host:port,host:port; none: events go through PostgreSQL."),
  KAFKA_TLS: flag(
    false,
    "Encrypt connections to Kafka; its authorities are Node's own unless KAFKA_CA is set.",
  ),
  KAFKA_CA: optional("File with the authorities of the certificates of Kafka; implies KAFKA_TLS."),
  KAFKA_CERT: optional("File with our certificate for Kafka, where it asks for one."),
  KAFKA_KEY: optional("File with the key of KAFKA_CERT."),
  KAFKA_SASL: choice(["none", "plain", "scram-sha-256", "scram-sha-512"], "none", "How we log in to Kafka."),
  KAFKA_USER: optional("User of Kafka."),
  KAFKA_PASSWORD: secret(optional("Password of KAFKA_USER.")),
  PG_PORT: port(54_329, "Port of the embedded PostgreSQL."),
  NATS_PORT: port(4_222, "Port of the NATS server that npm run stack starts."),
  KAFKA_PORT: port(9_092, "Port of the Kafka broker that npm run stack starts."),
  REQUEST_TIMEOUT_MS: integer(5_000, 100, 600_000, "A call between services fails after this time."),
  SHUTDOWN_TIMEOUT_MS: integer(20_000, 100, 600_000, "Longest wait for work in hand at SIGTERM."),
  BATCH_SIZE_MAX: integer(256, 1, 5_000, "Most items that share one transaction."),
  OUTBOX_POLL_MS: integer(500, 10, 60_000, "Relay's fallback poll; it is woken after each commit."),
  OUTBOX_BATCH_SIZE: integer(1_000, 1, 10_000, "Most events that a relay publishes at once."),
  OUTBOX_LEASE_MS: integer(5_000, 500, 600_000, "How long a relay owns a bucket without renewing it."),
  INBOX_ATTEMPTS_MAX: integer(
    5,
    1,
    100,
    "Tries of an event that its handler refuses, before it is a dead letter.",
  ),
  SAGA_LEASE_MS: integer(4_000, 500, 600_000, "After this time without progress any node takes a saga over."),
  SAGA_POLL_MS: integer(500, 10, 60_000, "How often a node looks for sagas that are due."),
  TRUSTED_PROXIES: networks("Proxies whose X-Forwarded-For is believed; none: the header is not looked at."),
  RATE_LIMIT_PER_SUBJECT: integer(
    100,
    0,
    1_000_000,
    "Requests a second of one subject, on average; 0: no limit.",
  ),
  RATE_LIMIT_PER_ADDRESS: integer(
    500,
    0,
    1_000_000,
    "The same of one address, with a token or without; 0: no limit.",
  ),
  RATE_LIMIT_BURST_SECONDS: integer(10, 1, 3_600, "This many seconds' worth may come at once."),
  STREAMS_PER_SUBJECT: integer(20, 1, 100_000, "Orders that one subject may follow at once on one gateway."),
  STREAMS_MAX: integer(10_000, 1, 1_000_000, "Streams of events that one gateway has open at once."),
  SHED_IN_FLIGHT: integer(
    1_000,
    0,
    1_000_000,
    "Requests at once from which on a gateway begins no new work; 0: any number.",
  ),
  SHED_LOOP_DELAY_MS: integer(1_000, 0, 60_000, "The same by the delay of its event loop; 0: any delay."),
  RESERVATION_TTL_SECONDS: integer(900, 120, 86_400, "How long reserved stock waits for a payment."),
  EXPIRY_POLL_MS: integer(5_000, 100, 600_000, "How often expired reservations are looked for."),
  STALE_DRAFT_MINUTES: integer(15, 1, 10_080, "A draft this old whose saga is not live is cancelled."),
  STALE_DRAFT_POLL_MS: integer(60_000, 100, 3_600_000, "How often stale drafts are looked for."),
  TCC_CALL_TIMEOUT_MS: integer(5_000, 100, 60_000, "Longest wait for one try, confirm or cancel."),
  STOCK_REPLY_TIMEOUT_MS: integer(
    30_000,
    100,
    600_000,
    "CREATE_ORDER gives up when stock has not answered by then.",
  ),
  DRAFT_WAIT_MS: integer(250, 0, 10_000, "How long POST /orders waits for the draft before it answers 202."),
  UNPAID_ORDERS_MAX: integer(
    100,
    0,
    100_000,
    "Orders that a customer may have without paying them; 0: any number.",
  ),
  PAY_ATTEMPTS_MAX: integer(20, 1, 1_000, "How often one order may be tried to be paid."),
  PAYMENT_HOLD_SECONDS: integer(
    900,
    60,
    604_800,
    "An authorisation that nobody decided on is voided after this.",
  ),
  PAYMENT_LEASE_MS: integer(
    5_000,
    500,
    600_000,
    "After this time without a sign of life another node takes a refund over.",
  ),
  PSP_PROVIDER: choice(["simulator", "stripe"], "simulator", "Which payment provider is asked."),
  PSP_CONCURRENCY_MAX: integer(64, 1, 10_000, "Most questions to the payment provider at once."),
  PSP_TIMEOUT_MS: integer(3_000, 50, 60_000, "The provider's answer counts as unknown after this time."),
  PSP_CONFIRM_SUCCESS_RATE: integer(
    100,
    0,
    100,
    "Percentage of captures that the simulated provider grants.",
  ),
  PSP_WEBHOOK_SECRETS: secret(
    optional("Secrets that webhooks may be signed with, comma-separated: two while they rotate."),
  ),
  PSP_SIMULATOR_WEBHOOK_URL: url(
    ["http", "https"],
    "Where the simulated provider calls back; without it, straight to payment.webhook.",
  ),
  STRIPE_SECRET_KEY: secret(optional("Secret key of the Stripe account, for PSP_PROVIDER=stripe.")),
  STRIPE_API_URL: url(["http", "https"], "Stripe's API, where it is not Stripe's own."),
  IDEMPOTENCY_HOURS: integer(24, 1, 8_760, "How long a finished request's answer is kept under its key."),
  OUTBOX_DAYS: integer(30, 1, 3_650, "How long a published event stays in the outbox."),
  INBOX_DAYS: integer(60, 1, 3_650, "How long a consumer knows an event again."),
  SAGA_DAYS: integer(90, 1, 3_650, "How long sagas and TCC transactions stay after their end."),
  LATE_CALL_DAYS: integer(
    30,
    1,
    3_650,
    "How long the marks stay that refuse a call which comes too late: TCC barriers, orders cancelled undrafted.",
  ),
  PSP_EVENT_DAYS: integer(90, 30, 3_650, "How long an event of the payment provider is remembered."),
  RETENTION_MINUTES: integer(60, 1, 10_080, "How often each table is gone through for rows past their time."),
  FAULT_POINTS: define<readonly Fault[]>({
    read: parseFaults,
    expected: "a comma-separated list of point=kill|throw|pause:ms, each with @passage or without",
    fallback: [],
    about: "For tests: where this process ends, fails or waits.",
  }),
  FAULT_POINTS_LOG: optional("For tests: a file that gets the name of each fault point when first passed."),
  FAULT_POINTS_GATE: optional(
    "For tests: while this file is missing, no fault point does anything; faults in it count in place of FAULT_POINTS.",
  ),
  DOCS: flag(true, "Whether the gateway shows /docs, /openapi.json and /asyncapi.json."),
  DEMO: flag(false, "Demo mode: own keys, tokens and data."),
  JWT_KEYS: optional("JWKS with the public keys that tokens are checked against: a file or an https URL."),
  JWT_ISSUER: text("holdfast-demo", "Required `iss` of a token."),
  JWT_AUDIENCE: text("holdfast", "Required `aud` of a token."),
  JWT_SKEW_SECONDS: integer(5, 0, 60, "How far the clock of who issues tokens may be off."),
  REVOCATION_POLL_MS: integer(2_000, 50, 60_000, "How soon a gateway learns that tokens were revoked."),
  REVOCATION_STALENESS_SECONDS: integer(
    300,
    1,
    86_400,
    "Without news of revocations for this long, every token is refused with 503.",
  ),
} as const;
