/**
 * Where we may dial. A URL says a name; what counts is the address behind it, at the moment of the connection:
 *
 *     name ──resolve──▶ all its addresses ──every one passes?──▶ connect to one of them ──remoteAddress passes?──▶ talk
 *                              └── one does not: refused, for a name with a private address among public ones is a trap
 *
 * A name that resolved well a minute ago may resolve to 127.0.0.1 now, so nothing is remembered between connections. Blocked is
 * everything that is not the public Internet; `allowNetworks` opens ranges. What hands out a cloud machine's credentials,
 * link-local, multicast and the unspecified address stay closed whatever is opened.
 */
import { type LookupAddress, lookup as resolveName } from "node:dns";
import type { LookupFunction } from "node:net";
import { type WaybillError, waybillError } from "@waybill/core";
import { type Address, isWithin, type Network, parseAddress, parseNetwork, unmapped } from "./address.ts";

export interface DialGuardOptions {
  /** Ranges that may be dialled although they are not public: `10.20.0.0/16`, `fd12::/16`, `192.168.1.7`. */
  readonly allowNetworks?: readonly string[];
  /** True: 127.0.0.0/8 and ::1, and nothing else, may be dialled. For a URL that says loopback literally. */
  readonly isLoopbackOnly?: boolean;
  /** All addresses of a name. Default: the operating system's resolver. */
  readonly resolve?: ResolveAll;
}

export type ResolveAll = (
  hostname: string,
  options: { readonly family: 0 | 4 | 6; readonly hints: number },
  done: (error: Error | null, addresses: readonly LookupAddress[]) => void,
) => void;

export interface DialGuard {
  /** True if this address, as text, may be dialled. */
  permits(address: string): boolean;
  /** For `net.connect`: answers a name's addresses if all of them may be dialled, else the error `addressBlocked`. */
  readonly lookup: LookupFunction;
}

const networks = (texts: readonly string[]): readonly Network[] =>
  texts.map((text) => {
    const network = parseNetwork(text);
    if (network === null) throw new TypeError(`not a network: ${text}`);
    return network;
  });

/** IANA's special-purpose registries (RFC 6890 and what came later), and 168.63.129.16, which serves Azure's machines. */
const blocked = networks([
  "0.0.0.0/8",
  "10.0.0.0/8",
  "100.64.0.0/10",
  "127.0.0.0/8",
  "169.254.0.0/16",
  "172.16.0.0/12",
  "192.0.0.0/24",
  "192.0.2.0/24",
  "192.88.99.0/24",
  "192.168.0.0/16",
  "198.18.0.0/15",
  "198.51.100.0/24",
  "203.0.113.0/24",
  "224.0.0.0/4",
  "240.0.0.0/4",
  "168.63.129.16/32",
  "::/96",
  "64:ff9b::/96",
  "64:ff9b:1::/48",
  "100::/64",
  "2001::/23",
  "2001:db8::/32",
  "2002::/16",
  "3fff::/20",
  "5f00::/16",
  "fc00::/7",
  "fe80::/10",
  "fec0::/10",
  "ff00::/8",
]);

/** Never opened: metadata services of clouds, link-local, multicast, unspecified. */
const never = networks([
  "0.0.0.0/8",
  "169.254.0.0/16",
  "100.100.100.200/32",
  "168.63.129.16/32",
  "224.0.0.0/4",
  "::/128",
  "fd00:ec2::/32",
  "fe80::/10",
  "ff00::/8",
]);

const loopback = networks(["127.0.0.0/8", "::1/128"]);

const isIn = (address: Address, list: readonly Network[]): boolean => list.some((network) => isWithin(address, network));

/** The rule that an entry of `allowNetworks` breaks, in words that follow "must be", or null. */
export function allowedNetworkProblem(text: string): string | null {
  const network = typeof text === "string" ? parseNetwork(text) : null;
  if (network === null) return "an address or a network such as 10.20.0.0/16";
  return never.some((range) => isWithin(network, range)) ? "no metadata service, link-local, multicast or unspecified address" : null;
}

/** True for the hosts that say loopback literally, as `URL.hostname` spells them: `localhost`, `127.x.x.x`, `[::1]`. */
export function isLoopbackHost(hostname: string): boolean {
  if (hostname === "localhost") return true;
  const address = parseAddress(withoutBrackets(hostname));
  return address !== null && isIn(unmapped(address), loopback);
}

/** `URL.hostname` as an address is written elsewhere: IPv6 without its brackets. */
export function withoutBrackets(hostname: string): string {
  return hostname.startsWith("[") && hostname.endsWith("]") ? hostname.slice(1, -1) : hostname;
}

/** A guard for one destination. `allowNetworks` must have passed `allowedNetworkProblem`. */
export function dialGuard(options: DialGuardOptions = {}): DialGuard {
  const allowed = networks(options.allowNetworks ?? []);
  const resolve = options.resolve ?? resolveAll;

  const permits = (text: string): boolean => {
    const parsed = parseAddress(text);
    if (parsed === null) return false;
    const address = unmapped(parsed);
    if (options.isLoopbackOnly === true) return isIn(address, loopback);
    if (isIn(address, never)) return false;
    return !isIn(address, blocked) || isIn(address, allowed);
  };

  const lookup: LookupFunction = (hostname, lookupOptions, done) => {
    const family =
      lookupOptions.family === 4 || lookupOptions.family === "IPv4"
        ? 4
        : lookupOptions.family === 6 || lookupOptions.family === "IPv6"
          ? 6
          : 0;
    resolve(hostname, { family, hints: lookupOptions.hints ?? 0 }, (error, addresses) => {
      const first = addresses[0];
      if (error !== null) return done(error, "", 0);
      if (first === undefined || !addresses.every(({ address }) => permits(address))) return done(addressBlocked(), "", 0);
      return lookupOptions.all === true ? done(null, [...addresses]) : done(null, first.address, first.family);
    });
  };
  return { permits, lookup };
}

/** What a refused dial ends in. It does not name the address: which private ones a name has is nobody's business. */
export function addressBlocked(): WaybillError<"WAYBILL_TRANSPORT"> {
  return waybillError("WAYBILL_TRANSPORT", "The host has an address that may not be dialled; allowNetworks opens private ranges.", {
    system: "http",
    reason: "addressBlocked",
    brokerCode: null,
  });
}

const resolveAll: ResolveAll = (hostname, options, done) => {
  resolveName(hostname, { ...options, all: true }, (error, addresses) => done(error, addresses ?? []));
};
