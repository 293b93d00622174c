import { type LookupAddress, type LookupOptions, lookup } from "node:dns";
import { BlockList, isIP } from "node:net";

/**
 * Keeps what we send to addresses that somebody configured from reaching our own network (server-side request forgery):
 * only addresses of the public internet are let through. Names are looked at when the connection is made, so that one
 * which changes its address after it was checked leads nowhere either.
 */
// Two lists: an IPv4 address would be looked for among those of IPv6 too, as one of ::ffff:0:0/96.
const [INSIDE, INSIDE_6] = [new BlockList(), new BlockList()];
for (const [network, prefix] of [
  ["0.0.0.0", 8],
  ["10.0.0.0", 8],
  ["100.64.0.0", 10],
  ["127.0.0.0", 8],
  ["169.254.0.0", 16],
  ["172.16.0.0", 12],
  ["192.0.0.0", 24],
  ["192.0.2.0", 24],
  ["192.88.99.0", 24],
  ["192.168.0.0", 16],
  ["198.18.0.0", 15],
  ["198.51.100.0", 24],
  ["203.0.113.0", 24],
  ["224.0.0.0", 3],
] as const)
  INSIDE.addSubnet(network, prefix, "ipv4");
// Of IPv6 only what is given out to the public (2000::/3) is outside, and of that not what leads elsewhere.
for (const [network, prefix] of [
  ["::", 3],
  ["4000::", 2],
  ["8000::", 1],
  ["2001::", 23],
  ["2001:db8::", 32],
  ["2002::", 16],
  ["3fff::", 20],
] as const)
  INSIDE_6.addSubnet(network, prefix, "ipv6");

export class AddressNotAllowedError extends Error {
  readonly type = "ADDRESS_NOT_ALLOWED";
  constructor(host: string) {
    super(`${host} is not an address of the public internet`);
    this.name = "AddressNotAllowedError";
  }
}

/** Whether the host of a URL is an address of our own network. A name may still turn out to be one. */
export function isInside(host: string): boolean {
  const address = host.replace(/^\[(.*)\]$/, "$1");
  const family = isIP(address);
  return family === 4 ? INSIDE.check(address) : family === 6 && INSIDE_6.check(address, "ipv6");
}

type Callback = (
  error: NodeJS.ErrnoException | null,
  address: string | LookupAddress[],
  family?: number,
) => void;

/** In place of dns.lookup for connections to the outside. */
export function lookupOutside(host: string, options: LookupOptions, callback: Callback): void {
  lookup(host, { ...options, all: true }, (error, addresses) => {
    if (error) return callback(error, []);
    // All of them: whichever is tried next must be good too.
    const [first] = addresses;
    if (first === undefined || addresses.some(({ address }) => isInside(address)))
      return callback(new AddressNotAllowedError(host), []);
    if (options.all === true) callback(null, addresses);
    else callback(null, first.address, first.family);
  });
}
