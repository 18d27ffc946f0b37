import type { ServerResponse } from "node:http";
import { signingSecret } from "@waybill/core";
import { httpTransport } from "@waybill/http";
import { type TransportHarm, transportContract } from "@waybill/testing";
import { describe, test } from "vitest";
import { startDestination } from "./destination-server.ts";

const secrets = [signingSecret(`whsec_${Buffer.alloc(24, 1).toString("base64")}`)];

const answers: Readonly<Record<TransportHarm, (response: ServerResponse) => void>> = {
  refuse: (response) => response.writeHead(422).end(),
  fail: (response) => response.writeHead(409).end(),
  silence: () => undefined,
};

describe("the HTTP transport", () => {
  const cases = transportContract({
    capabilities: { harms: ["refuse", "fail", "silence"] },
    async create() {
      const harms = new Map<string, TransportHarm>();
      const stored: string[] = [];
      const destination = await startDestination((_request, response, message) => {
        const harm = harms.get(message.id);
        if (harm !== undefined) return answers[harm](response);
        stored.push(message.id);
        response.end();
      });
      const transport = httpTransport({ url: destination.url, secrets });
      return {
        transport,
        received: async () => destination.received.filter(({ id }) => stored.includes(id)),
        harm: (messageId, harm) => void harms.set(messageId, harm),
        async dispose() {
          await transport.close({ deadlineMs: 1_000 });
          await destination.close();
        },
      };
    },
  });
  for (const { name, run } of cases) test(name, run);
});
