import { kafkaSecurity } from "../../lib/bus/kafka-security.ts";
import { databaseUrl, loadConfig } from "../../lib/config.ts";
import { natsOptions } from "../../lib/nats-options.ts";
import { readPair } from "../../lib/tls.ts";
import { makePapers } from "../support/secure-servers.ts";

/** Settings of secured connections that are missing, do not fit each other, or would secure nothing. */

const { ca, ours, theirs, file } = makePapers();
const [password, user] = ["word", "us"];
const none = "/nowhere/at-all.pem";

const kafka = (env: NodeJS.ProcessEnv) => () => kafkaSecurity(loadConfig(env));
const nats = (env: NodeJS.ProcessEnv) => () =>
  natsOptions(loadConfig({ TRANSPORTER: "tls://a:4222", ...env }));
const database =
  (url: string, env: NodeJS.ProcessEnv = {}) =>
  () =>
    databaseUrl(loadConfig({ DATABASE_URL: url, ...env }), "order");
const api = (env: NodeJS.ProcessEnv) => () => readPair(loadConfig(env), "TLS_CERT", "TLS_KEY");

test.each<[string, () => unknown, string]>([
  ["a certificate without its key", api({ TLS_CERT: ours.cert }), "TLS_KEY"],
  ["a key without its certificate", api({ TLS_KEY: ours.key }), "TLS_CERT"],
  ["a certificate with the key of another", api({ TLS_CERT: ours.cert, TLS_KEY: theirs.key }), "TLS_KEY"],
  ["a file that is not there", api({ TLS_CERT: none, TLS_KEY: ours.key }), "TLS_CERT"],
  ["a certificate that is none", api({ TLS_CERT: file("hello"), TLS_KEY: ours.key }), "TLS_CERT"],
  ["a key that is none", api({ TLS_CERT: ours.cert, TLS_KEY: file("hello") }), "TLS_KEY"],
  ["an authority that is none", kafka({ KAFKA_CA: ours.key }), "KAFKA_CA"],
  [
    "a password in the clear",
    kafka({ KAFKA_SASL: "plain", KAFKA_USER: user, KAFKA_PASSWORD: password }),
    "KAFKA_TLS",
  ],
  ["a client certificate in the clear", kafka({ KAFKA_CERT: ours.cert, KAFKA_KEY: ours.key }), "KAFKA_TLS"],
  ["a mechanism without a user", kafka({ KAFKA_CA: ca, KAFKA_SASL: "plain" }), "KAFKA_USER"],
  [
    "a user without a password",
    kafka({ KAFKA_CA: ca, KAFKA_SASL: "plain", KAFKA_USER: user }),
    "KAFKA_PASSWORD",
  ],
  ["a user without a mechanism", kafka({ KAFKA_CA: ca, KAFKA_USER: user }), "KAFKA_SASL"],
  ["authorities of an open connection", nats({ TRANSPORTER: "nats://a:4222", NATS_CA: ca }), "TRANSPORTER"],
  ["two ways to log in", nats({ NATS_USER: user, NATS_TOKEN: "t" }), "NATS_USER"],
  ["a password of nobody", nats({ NATS_PASSWORD: password }), "NATS_USER"],
  ["sslmode=no-verify", database("postgres://a/oms?sslmode=no-verify"), "DATABASE_URL"],
  [
    "sslmode=prefer with an authority",
    database("postgres://a/oms?sslmode=prefer", { DATABASE_CA: ca }),
    "DATABASE_URL",
  ],
])("%s is refused", (_what, read, setting) => {
  expect(read).toThrow(expect.objectContaining({ type: "CONFIG_INVALID", setting }));
});

test("what fits is taken", () => {
  expect(api({})()).toBeUndefined();
  expect(kafka({})()).toEqual({});
  expect(
    kafka({ KAFKA_CA: ca, KAFKA_SASL: "scram-sha-512", KAFKA_USER: user, KAFKA_PASSWORD: password })(),
  ).toMatchObject({
    sasl: { mechanism: "scram-sha-512", username: user, password },
    tls: { ca: expect.any(String) },
  });
  expect(nats({ TRANSPORTER: "nats://a:4222" })()).toEqual({ servers: ["a:4222"] });
  expect(database("postgres://a/oms")()).toBe("postgres://a/oms_order");
  const url = new URL(database("postgres://a/oms", { DATABASE_CA: "/ca.pem" })());
  expect(Object.fromEntries(url.searchParams)).toEqual({ sslmode: "verify-full", sslrootcert: "/ca.pem" });
});
