import { describe, expect, test } from "vitest";
import { isWithin, parseAddress, parseNetwork, unmapped } from "./address.ts";

describe("address", () => {
  test.each([
    ["0.0.0.0", 0n],
    ["127.0.0.1", 0x7f000001n],
    ["255.255.255.255", 0xffffffffn],
  ])("%s is an IPv4 address", (text, bits) => {
    expect(parseAddress(text)).toEqual({ family: 4, bits });
  });

  test.each([
    ["::", 0n],
    ["::1", 1n],
    ["1::", 1n << 112n],
    ["::ffff:127.0.0.1", 0xffff7f000001n],
    ["::ffff:7f00:1", 0xffff7f000001n],
    ["64:ff9b::10.0.0.1", (0x64n << 112n) | (0xff9bn << 96n) | 0x0a000001n],
    ["2001:DB8:0:0:8:800:200C:417A", 0x20010db80000000000080800200c417an],
    ["1:2:3:4:5:6:1.2.3.4", 0x00010002000300040005000601020304n],
    ["1:2:3:4:5:6:7::", 0x00010002000300040005000600070000n],
  ])("%s is an IPv6 address", (text, bits) => {
    expect(parseAddress(text)).toEqual({ family: 6, bits });
  });

  test.each([
    "",
    "localhost",
    "1.2.3",
    "1.2.3.4.5",
    "0177.0.0.1",
    "0x7f.1",
    "2130706433",
    "256.1.1.1",
    " 127.0.0.1",
    "[::1]",
    "fe80::1%eth0",
    ":::",
    "1:2:3",
  ])("%j is no address", (text) => {
    expect(parseAddress(text)).toBeNull();
  });

  test("an IPv4-mapped address is the IPv4 address inside it, and no other is", () => {
    expect(unmapped({ family: 6, bits: 0xffff0a000001n })).toEqual({ family: 4, bits: 0x0a000001n });
    expect(unmapped({ family: 6, bits: 0x0a000001n })).toEqual({ family: 6, bits: 0x0a000001n });
  });

  test.each(["10.0.0.0/33", "10.0.0.0/", "10.0.0.0/08", "10.0.0.0/8/8", "::/129", "10.0.0.0/-1", "x/8"])("%j is no network", (text) => {
    expect(parseNetwork(text)).toBeNull();
  });

  test("a network holds the addresses that share its leading bits", () => {
    const network = parseNetwork("172.16.0.0/12");
    if (network === null) throw new Error("a network");
    const holds = (text: string): boolean => {
      const address = parseAddress(text);
      return address !== null && isWithin(address, network);
    };
    expect(["172.15.255.255", "172.16.0.0", "172.31.255.255", "172.32.0.0", "::172.16.0.1"].map(holds)).toEqual([
      false,
      true,
      true,
      false,
      false,
    ]);
  });
});
