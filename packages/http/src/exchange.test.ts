import { systemClock } from "@waybill/core";
import { expect, test } from "vitest";
import { connections, type TlsOptions } from "./connections.ts";
import { dialGuard } from "./dial-guard.ts";
import { type Exchange, exchange } from "./exchange.ts";

/** Nothing of what is tried here gets as far as a socket. */
async function attempt(headers: Readonly<Record<string, string>>, path = "/", tls: TlsOptions = {}): Promise<Exchange> {
  const url = { protocol: "https:", hostname: "127.0.0.1", port: "1", pathname: path, search: "" } as URL;
  const own = connections(dialGuard({ allowNetworks: [], isLoopbackOnly: true }), { isTls: true, tls, socketsMax: 1 });
  try {
    return await exchange(
      own,
      { method: "POST", url, headers, body: null },
      { deadlineMs: 5_000, responseBytesMax: 1, mayWrite: () => false },
      systemClock,
    );
  } finally {
    own.destroy("closed");
  }
}

test("what HTTP cannot carry is the message's own fault", async () => {
  for (const ended of [
    await attempt({ "x-a": "line\r\nbreak" }),
    await attempt({ "x a": "1" }),
    await attempt({ "x-a": undefined as unknown as string }),
    await attempt({}, "/a b"),
  ])
    expect(ended).toMatchObject({ kind: "notSent", reason: "requestInvalid" });
});

test("everything else that keeps a request from being made is not: no connection came of it", async () => {
  expect(await attempt({}, "/", { cert: "garbage", key: "garbage" })).toMatchObject({ kind: "notSent", reason: "notConnected" });
});
