import { loadConfig } from "../../lib/config.ts";

/** Settings that hold a list. */

test.each([
  ["nats://a:4222", "nats://a:4222"],
  ["nats://a:4222,nats://b:4222", "nats://a:4222,nats://b:4222"],
  ["tls://a:4222, tls://user:word@b:4222", "tls://a:4222,tls://user:word@b:4222"],
])("TRANSPORTER=%s names the servers of one cluster", (given, read) => {
  expect(loadConfig({ TRANSPORTER: given }).TRANSPORTER).toBe(read);
});

test.each(["http://a:4222", "nats://a:4222,tls://b:4222", "nats://a:4222,", "nats://a:4222,b:4222"])(
  "TRANSPORTER=%s is refused",
  (given) => {
    expect(() => loadConfig({ TRANSPORTER: given })).toThrow(
      expect.objectContaining({ type: "CONFIG_INVALID", setting: "TRANSPORTER" }),
    );
  },
);
