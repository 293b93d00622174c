import type { IncomingMessage } from "node:http";
import { clientAddressBy } from "../../services/gateway/client-address.ts";

/** Whose address counts: what a client writes itself must never decide. */

const from = (remoteAddress: string, forwarded?: string | string[]) =>
  ({ socket: { remoteAddress }, headers: { "x-forwarded-for": forwarded } }) as unknown as IncomingMessage;

const behind = clientAddressBy(["10.0.0.0/8", "192.168.1.7", "fd00::/8"]);

test("without trusted proxies the header is not looked at", () => {
  const direct = clientAddressBy([]);
  expect(direct(from("203.0.113.9", "1.2.3.4"))).toBe("203.0.113.9");
  expect(direct(from("::ffff:203.0.113.9"))).toBe("203.0.113.9");
});

test.each<[string, string, string | undefined, string]>([
  ["one who is no proxy writes what they like", "203.0.113.9", "1.2.3.4", "203.0.113.9"],
  ["a proxy's client", "10.1.1.1", "203.0.113.9", "203.0.113.9"],
  ["a proxy's client who wrote something first", "10.1.1.1", "1.2.3.4, 203.0.113.9", "203.0.113.9"],
  ["through two proxies", "10.1.1.1", "1.2.3.4, 203.0.113.9, 192.168.1.7", "203.0.113.9"],
  ["the neighbour of a trusted address", "192.168.1.8", "1.2.3.4", "192.168.1.8"],
  ["a proxy by IPv4 in IPv6", "::ffff:10.1.1.1", "203.0.113.9", "203.0.113.9"],
  ["a proxy by IPv6", "fd00::1", "203.0.113.9", "203.0.113.9"],
  ["a proxy that says nothing", "10.1.1.1", undefined, "10.1.1.1"],
  ["a proxy that says nonsense", "10.1.1.1", "203.0.113.9, unknown", "10.1.1.1"],
  ["proxies all the way", "10.1.1.1", "10.2.2.2", "10.2.2.2"],
])("%s", (_what, remote, forwarded, expected) => {
  expect(behind(from(remote, forwarded))).toBe(expected);
});

test("a client that has a whole IPv6 network has one allowance", () => {
  const direct = clientAddressBy([]);
  expect(direct(from("2001:db8:0:7::1"))).toBe("2001:db8:0:7::/64");
  expect(direct(from("2001:db8:0:7:ffff:ffff:ffff:ffff"))).toBe("2001:db8:0:7::/64");
  expect(direct(from("2001:db8::1"))).toBe("2001:db8:0:0::/64");
  expect(direct(from("fe80::1%eth0"))).toBe("fe80:0:0:0::/64");
});

test("a header that is given more than once counts as one list", () => {
  expect(behind(from("10.1.1.1", ["1.2.3.4", "203.0.113.9"]))).toBe("203.0.113.9");
});
