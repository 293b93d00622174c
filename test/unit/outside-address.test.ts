import { isInside, lookupOutside } from "../../lib/outside-address.ts";

/** Which addresses we may be told to send something to. */

test.each([
  "127.0.0.1",
  "10.1.2.3",
  "172.16.0.1",
  "172.31.255.255",
  "192.168.1.1",
  "169.254.169.254",
  "100.64.0.1",
  "0.0.0.0",
  "224.0.0.1",
  "255.255.255.255",
  "[::1]",
  "[::]",
  "[::ffff:127.0.0.1]",
  "[::ffff:8.8.8.8]",
  "[64:ff9b::7f00:1]",
  "[fd00::1]",
  "[fe80::1]",
  "[ff02::1]",
  "[2001:db8::1]",
  "[2002:7f00:1::]",
])("%s is inside", (host) => expect(isInside(host)).toBe(true));

test.each(["8.8.8.8", "172.32.0.1", "100.128.0.1", "[2606:4700::1111]", "shop.example"])(
  "%s is outside, or a name",
  (host) => expect(isInside(host)).toBe(false),
);

test.each([{ all: true }, {}])(
  "a name that leads inside is refused when it is looked up: %j",
  async (options) => {
    const found = new Promise((resolve) => lookupOutside("localhost", options, (error) => resolve(error)));
    await expect(found).resolves.toMatchObject({ type: "ADDRESS_NOT_ALLOWED" });
  },
);
