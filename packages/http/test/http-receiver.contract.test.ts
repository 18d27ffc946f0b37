import { signingSecret } from "@waybill/core";
import { httpReceiver, httpTransport } from "@waybill/http";
import { sourceContract } from "@waybill/testing";
import { describe, test } from "vitest";

const secrets = [signingSecret(`whsec_${Buffer.alloc(24, 1).toString("base64")}`)];

describe("the HTTP receiver", () => {
  const cases = sourceContract({
    capabilities: { tellsRedelivery: false },
    async create() {
      const receiver = httpReceiver({ secrets });
      const { url } = await receiver.listen({ port: 0 });
      const transport = httpTransport({ url, secrets });
      let isOver = false;
      return {
        source: receiver,
        async send(messages) {
          let left = messages;
          while (left.length > 0 && !isOver) {
            const outcomes = await transport.publish(left, { deadlineMs: 10_000 });
            const waits = outcomes.map((outcome) => ("afterMs" in outcome ? (outcome.afterMs ?? 0) : 0));
            left = left.filter((_, index) => outcomes[index]?.kind !== "confirmed");
            // As a relay does, only for all of them together.
            if (left.length > 0) await new Promise((resolve) => setTimeout(resolve, Math.max(5, ...waits)));
          }
        },
        async dispose() {
          isOver = true;
          await transport.close({ deadlineMs: 1_000 });
          await receiver.close({ deadlineMs: 1_000 });
        },
      };
    },
  });
  for (const { name, run } of cases) test(name, run);
});
