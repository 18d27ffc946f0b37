import { isWaybillError } from "@waybill/core";
import { describe, expect, test } from "vitest";
import { allowedNetworkProblem, type DialGuard, dialGuard, isLoopbackHost, type ResolveAll, withoutBrackets } from "./dial-guard.ts";

const publicAddresses = [
  "1.1.1.1",
  "8.8.8.8",
  "93.184.215.14",
  "172.15.0.1",
  "172.32.0.1",
  "100.63.255.255",
  "100.128.0.1",
  "192.0.1.1",
  "11.0.0.1",
  "223.255.255.255",
  "2606:4700:4700::1111",
  "2a00:1450:4001::1",
  "2001:4860:4860::8888",
  "::ffff:8.8.8.8",
];

const closedAddresses = `
  0.0.0.0 0.1.2.3 10.0.0.1 10.255.255.255 100.64.0.1 100.100.100.200 127.0.0.1 127.255.255.254 169.254.169.254 172.16.0.1
  172.31.255.255 192.0.0.1 192.0.2.5 192.88.99.1 192.168.0.1 198.18.0.1 198.19.255.255 198.51.100.7 203.0.113.9 224.0.0.1
  239.255.255.255 240.0.0.1 255.255.255.255 168.63.129.16 :: ::1 ::127.0.0.1 ::7f00:1 ::ffff:127.0.0.1 ::ffff:7f00:1
  ::ffff:10.0.0.1 ::ffff:169.254.169.254 0:0:0:0:0:ffff:0a00:0001 64:ff9b::10.0.0.1 64:ff9b::a9fe:a9fe 64:ff9b:1::1 100::1
  2001::1 2001:1ff:ffff::1 2001:db8::1 2002:7f00:1:: 3fff::1 5f00::1 fc00::1 fd00:ec2::254 fd12:3456::1 fe80::1 febf::1
  fec0::1 ff02::1 fe80::1%eth0 localhost 2130706433 0x7f000001 0177.0.0.1 127.1
`.split(/\s+/);

const resolvesTo =
  (...addresses: readonly string[]): ResolveAll =>
  (_hostname, _options, done) =>
    done(
      null,
      addresses.map((address) => ({ address, family: address.includes(":") ? 6 : 4 })),
    );

function lookUp(guard: DialGuard, all = true): Promise<unknown> {
  return new Promise((resolve) => guard.lookup("receiver.example", { all }, (error, address) => resolve(error ?? address)));
}

describe("dial guard", () => {
  test.each(publicAddresses)("%s may be dialled", (address) => {
    expect(dialGuard().permits(address)).toBe(true);
  });

  test.each(closedAddresses)("%j may not be dialled", (address) => {
    expect(dialGuard().permits(address)).toBe(false);
  });

  test.each([
    ["http://2130706433/", "127.0.0.1"],
    ["http://0x7f.1/", "127.0.0.1"],
    ["http://0177.0.0.1/", "127.0.0.1"],
    ["http://127.1/", "127.0.0.1"],
    ["http://3232235777/", "192.168.1.1"],
    ["http://0xA9FEA9FE/", "169.254.169.254"],
    ["http://①②⑦.0.0.1/", "127.0.0.1"],
    ["http://127。0。0。1/", "127.0.0.1"],
    ["http://[::ffff:127.0.0.1]/", "::ffff:7f00:1"],
    ["http://[0:0::1]/", "::1"],
    ["http://[64:ff9b::7f00:1]/", "64:ff9b::7f00:1"],
  ])("%s is seen as the address that it means, and refused", (url, address) => {
    const host = withoutBrackets(new URL(url).hostname);
    expect(host).toBe(address);
    expect(dialGuard().permits(host)).toBe(false);
  });

  test("an allowed network opens its addresses, IPv4-mapped ones too, and no others", () => {
    const guard = dialGuard({ allowNetworks: ["10.20.0.0/16", "192.168.1.7", "fd12::/16"] });
    expect(["10.20.0.1", "::ffff:10.20.0.1", "192.168.1.7", "fd12::1"].map(guard.permits)).toEqual([true, true, true, true]);
    expect(["10.21.0.1", "192.168.1.8", "fd13::1", "127.0.0.1"].map(guard.permits)).toEqual([false, false, false, false]);
  });

  test("metadata services, link-local, multicast and unspecified addresses stay closed though everything is allowed", () => {
    const guard = dialGuard({ allowNetworks: ["0.0.0.0/0", "::/0"] });
    const never = [
      "169.254.169.254",
      "100.100.100.200",
      "168.63.129.16",
      "224.0.0.1",
      "0.0.0.0",
      "::",
      "fd00:ec2::254",
      "fe80::1",
      "ff02::1",
      "::ffff:169.254.169.254",
    ];
    expect(never.filter(guard.permits)).toEqual([]);
    expect(["10.0.0.1", "127.0.0.1", "::1", "fd12::1"].map(guard.permits)).toEqual([true, true, true, true]);
  });

  test.each(["169.254.169.254", "169.254.0.0/24", "fd00:ec2::254/128", "ff02::/16", "0.0.0.0", "nonsense", "10.0.0.0/33"])(
    "%s is refused as an allowed network",
    (text) => {
      expect(allowedNetworkProblem(text)).not.toBeNull();
    },
  );

  test("a guard for loopback lets through loopback and nothing else", () => {
    const guard = dialGuard({ isLoopbackOnly: true, allowNetworks: ["10.0.0.0/8"] });
    expect(["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"].map(guard.permits)).toEqual([true, true, true, true]);
    expect(["10.0.0.1", "8.8.8.8", "0.0.0.0", "::"].map(guard.permits)).toEqual([false, false, false, false]);
  });

  test.each([
    ["localhost", true],
    ["127.0.0.1", true],
    ["127.8.8.8", true],
    ["[::1]", true],
    ["[::ffff:7f00:1]", true],
    ["localhost.example", false],
    ["127.0.0.1.example", false],
    ["10.0.0.1", false],
    ["[::]", false],
    ["0.0.0.0", false],
  ])("the host %s says loopback literally: %s", (host, isLoopback) => {
    expect(isLoopbackHost(host)).toBe(isLoopback);
  });

  test("a name whose addresses are all public is looked up", async () => {
    const guard = dialGuard({ resolve: resolvesTo("8.8.8.8", "2606:4700::1") });
    expect(await lookUp(guard)).toEqual([
      { address: "8.8.8.8", family: 4 },
      { address: "2606:4700::1", family: 6 },
    ]);
    expect(await lookUp(guard, false)).toBe("8.8.8.8");
  });

  test.each([[["8.8.8.8", "10.0.0.1"]], [["8.8.8.8", "::ffff:127.0.0.1"]], [["169.254.169.254"]], [[]]])(
    "a name with the addresses %j is refused, for not every one may be dialled",
    async (addresses) => {
      const error = await lookUp(dialGuard({ resolve: resolvesTo(...addresses) }));
      expect(isWaybillError(error, "WAYBILL_TRANSPORT") && error.facts.reason).toBe("addressBlocked");
    },
  );

  test("a name is resolved again for every connection", async () => {
    const answers = [["8.8.8.8"], ["127.0.0.1"]];
    const guard = dialGuard({ resolve: (hostname, options, done) => resolvesTo(...(answers.shift() ?? []))(hostname, options, done) });
    expect(await lookUp(guard, false)).toBe("8.8.8.8");
    expect(await lookUp(guard, false)).toBeInstanceOf(Error);
  });
});
