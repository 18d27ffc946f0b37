/**
 * IP addresses and networks as numbers, so that a rule about a range is a comparison of bits and not of spellings.
 * Takes only what the operating system hands out – dotted decimals, colon-separated hexadecimals – and nothing that merely
 * resembles an address: `0177.0.0.1` and `2130706433` are null here, and names elsewhere.
 */
import { isIPv4, isIPv6 } from "node:net";

export interface Address {
  readonly family: 4 | 6;
  readonly bits: bigint;
}

/** An address and how many of its leading bits count. */
export interface Network extends Address {
  readonly prefixLength: number;
}

const lengthOf = { 4: 32, 6: 128 } as const;

/** An address from its text, or null. A zone (`%eth0`) is no part of one: what needs it is link-local. */
export function parseAddress(text: string): Address | null {
  if (isIPv4(text)) return { family: 4, bits: bitsOfIPv4(text) };
  if (isIPv6(text) && !text.includes("%")) return { family: 6, bits: bitsOfIPv6(text) };
  return null;
}

/** A network from `address/prefix length`, or from an address alone: the whole of it counts. Null if it is neither. */
export function parseNetwork(text: string): Network | null {
  const [addressText = "", lengthText, ...rest] = text.split("/");
  const address = parseAddress(addressText);
  if (address === null || rest.length > 0) return null;
  const bitsMax = lengthOf[address.family];
  if (lengthText === undefined) return { ...address, prefixLength: bitsMax };
  if (!/^(0|[1-9][0-9]{0,2})$/.test(lengthText)) return null;
  const prefixLength = Number(lengthText);
  return prefixLength > bitsMax ? null : { ...address, prefixLength };
}

/** True if the address (or the whole of a network) lies in `network`. */
export function isWithin(inner: Address | Network, network: Network): boolean {
  if (inner.family !== network.family) return false;
  if ("prefixLength" in inner && inner.prefixLength < network.prefixLength) return false;
  const shift = BigInt(lengthOf[network.family] - network.prefixLength);
  return inner.bits >> shift === network.bits >> shift;
}

const mappedPrefix = 0xffffn << 32n;

/** The IPv4 address inside an IPv4-mapped one (`::ffff:10.0.0.1`); any other address as it is. */
export function unmapped(address: Address): Address {
  const isMapped = address.family === 6 && address.bits >> 32n === mappedPrefix >> 32n;
  return isMapped ? { family: 4, bits: address.bits & 0xffffffffn } : address;
}

function bitsOfIPv4(text: string): bigint {
  return text.split(".").reduce((bits, part) => (bits << 8n) | BigInt(part), 0n);
}

function bitsOfIPv6(text: string): bigint {
  // The last 32 bits may be written as IPv4: make two groups of them first.
  const lastColon = text.lastIndexOf(":");
  const tail = text.slice(lastColon + 1);
  if (tail.includes(".")) {
    const bits = bitsOfIPv4(tail);
    return bitsOfIPv6(`${text.slice(0, lastColon + 1)}${(bits >> 16n).toString(16)}:${(bits & 0xffffn).toString(16)}`);
  }
  const [head = "", rest] = text.split("::");
  const groupsOf = (part: string | undefined): string[] => (part === undefined || part === "" ? [] : part.split(":"));
  const before = groupsOf(head);
  const after = groupsOf(rest);
  const zeros = Array.from({ length: rest === undefined ? 0 : 8 - before.length - after.length }, () => "0");
  return [...before, ...zeros, ...after].reduce((bits, group) => (bits << 16n) | BigInt(`0x${group}`), 0n);
}
