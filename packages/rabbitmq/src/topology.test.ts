import { expect, test } from "vitest";
import type { DriverChannel } from "./driver.ts";
import type { ChannelEnd, Link, LinkChannel } from "./link.ts";
import { applyTopology } from "./topology.ts";

/** A link of which nothing but `openChannel` is used here, with channels that all fail their calls like this. */
function linkWith(failure: ChannelEnd): { readonly link: Link; readonly closed: () => number } {
  let closed = 0;
  const channel = {
    call: () => Promise.resolve({ kind: "failed", failure }),
    close: () => {
      closed += 1;
      return Promise.resolve();
    },
  } as unknown as LinkChannel<DriverChannel>;
  const link = { openChannel: () => Promise.resolve({ kind: "done", value: channel }) } as unknown as Link;
  return { link, closed: () => closed };
}

test("a declaration that nobody answers while the broker is heard leaves no channel behind", async () => {
  const { link, closed } = linkWith({ reason: "channelDeadline", brokerCode: null, cause: undefined, isLinkLost: false });
  const topology = { exchanges: ["orders"], queues: [] };
  for (let attempt = 1; attempt <= 3; attempt += 1) {
    expect(await applyTopology(link, topology, "ensure", 1_000)).toMatchObject({ kind: "unreachable" });
    expect(closed()).toBe(attempt);
  }
});
