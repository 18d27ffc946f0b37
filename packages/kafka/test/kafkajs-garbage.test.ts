/** K22: somebody listens at a broker's address, and it is no broker. */
import { once } from "node:events";
import { createServer } from "node:net";
import { kafkaTransport } from "@waybill/kafka";
import { expect, test } from "vitest";
import { isKafkajs } from "./client-under-test.ts";
import { messagesOf, told } from "./sample-messages.ts";

const answers: readonly (readonly [name: string, bytes: Uint8Array])[] = [
  ["a frame too short for its head", Uint8Array.of(0, 0, 0, 2, 0, 1)],
  ["a frame of no bytes", Uint8Array.of(0, 0, 0, 0)],
  ["a frame of a negative size", Uint8Array.of(255, 255, 255, 255, 0, 0, 0, 1)],
];

// An exception that nobody catches fails the whole run; the cause says that the bytes were refused, and not waited for.
test.runIf(isKafkajs).each(answers)("K22: %s ends its connection, not the process", async (_, bytes) => {
  const stranger = createServer((socket) => {
    socket.on("error", () => undefined).on("data", () => void socket.write(bytes));
  }).listen(0, "127.0.0.1");
  await once(stranger, "listening");
  const { port } = stranger.address() as { readonly port: number };
  const transport = kafkaTransport({ brokers: [`127.0.0.1:${port}`] });
  try {
    const [outcome] = await transport.publish([messagesOf("orders")()], { deadlineMs: 30_000 });
    expect(told(outcome)).toBe("retry transport unreachable");
    expect(outcome?.kind === "retry" && outcome.error.cause).toMatchObject({ name: "KafkaJSConnectionError" });
  } finally {
    await transport.close({ deadlineMs: 1_000 });
    stranger.close();
  }
});
