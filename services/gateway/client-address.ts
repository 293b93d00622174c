import type { IncomingMessage } from "node:http";
import { BlockList, isIP } from "node:net";

export type AddressOf = (request: IncomingMessage) => string;

/**
 * Whose address a request counts for. Anybody can write an X-Forwarded-For, so it is believed hop by hop from its end, and
 * only as far as the hops are proxies of ours: the first address that is none is the client's.
 * @param trusted networks of those proxies, as in `10.0.0.0/8`; none: the header is not looked at
 */
export function clientAddressBy(trusted: readonly string[]): AddressOf {
  if (trusted.length === 0) return ({ socket }) => accountable(socket.remoteAddress);
  const isProxy = proxyBy(trusted);
  return ({ socket, headers }) => {
    let client = unmapped(socket.remoteAddress);
    const hops = headers["x-forwarded-for"];
    const given = (Array.isArray(hops) ? hops.join(",") : (hops ?? "")).split(",");
    while (isProxy(client)) {
      const next = unmapped(given.pop()?.trim());
      // What is no address was not written by a proxy of ours.
      if (isIP(next) === 0) break;
      client = next;
    }
    return accountable(client);
  };
}

/** Whether an address is in one of these networks. */
export function proxyBy(networks: readonly string[]): (address: string | undefined) => boolean {
  const proxies = new BlockList();
  for (const network of networks) {
    const [address = "", prefix] = network.split("/");
    const family = isIP(address) === 6 ? "ipv6" : "ipv4";
    proxies.addSubnet(address, Number(prefix ?? (family === "ipv6" ? 128 : 32)), family);
  }
  return (address) => {
    const plain = unmapped(address);
    return networks.length > 0 && proxies.check(plain, isIP(plain) === 6 ? "ipv6" : "ipv4");
  };
}

/** IPv4 as it is; of IPv6 the /64, which is what a single customer of a provider has at hand. */
function accountable(address: string | undefined): string {
  const plain = unmapped(address);
  return isIP(plain) === 6 ? networkOf(plain) : plain;
}

const MAPPED = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i;

function unmapped(address = ""): string {
  return MAPPED.exec(address)?.[1] ?? address;
}

function networkOf(address: string): string {
  const [head = "", tail] = (address.split("%", 1)[0] ?? "").split("::");
  const groups = (text: string | undefined) => (text ? text.split(":") : []);
  const [before, after] = [groups(head), groups(tail)];
  const gap = tail === undefined ? 0 : 8 - before.length - after.length;
  const all = [...before, ...Array.from({ length: Math.max(0, gap) }, () => "0"), ...after];
  const network = all.slice(0, 4).map((group) => Number.parseInt(group, 16).toString(16));
  return `${network.join(":")}::/64`;
}
