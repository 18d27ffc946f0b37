/** The relay's way to the destination. One connection, calls side by side; what is unsettled at its deadline is unknown, and the connection destroyed. */
import { connect, type Socket } from "node:net";
import { type OutgoingMessage, type PublishOutcome, type Transport, waybillError } from "@waybill/core";
import { type Answer, type Call, objectsIn, type Reply } from "./wire.ts";

const error = (reason: string) =>
  waybillError("WAYBILL_TRANSPORT", "The destination did not confirm.", { system: "torture", reason, brokerCode: null });

const outcomes: Readonly<Record<Answer, PublishOutcome>> = {
  confirmed: { kind: "confirmed" },
  rejected: { kind: "rejected", error: error("rejected") },
  retryMessage: { kind: "retry", scope: "message", error: error("again") },
  retryTopic: { kind: "retry", scope: "topic", error: error("topicRefused") },
  retryTransport: { kind: "retry", scope: "transport", error: error("refused") },
  unknown: { kind: "unknown", scope: "message", error: error("unknown") },
  behind: { kind: "retry", scope: "message", error: error("behindItsKey") },
};

export function destinationTransport(path: string): Transport {
  let calls = 0;
  let link: Promise<Link> | null = null;

  const linked = (): Promise<Link> => {
    const opening = (link ??= openLink(path, () => {
      if (link === opening) link = null;
    }));
    opening.catch(() => {
      if (link === opening) link = null;
    });
    return opening;
  };

  return {
    async publish(batch, { deadlineMs, mayWrite }) {
      const all = (outcome: PublishOutcome): PublishOutcome[] => batch.map(() => outcome);
      let open: Link;
      try {
        open = await linked();
      } catch {
        return all({ kind: "retry", scope: "transport", error: error("notConnected") });
      }
      if (mayWrite?.() === false) return all({ kind: "retry", scope: "transport", error: error("leaseLost") });
      calls += 1;
      const answers = await open.call({ call: calls, messages: batch.map(sentMessage) }, deadlineMs);
      return answers === null ? all({ kind: "unknown", scope: "message", error: error("noAnswer") }) : answers.map((one) => outcomes[one]);
    },
    async close() {
      await link?.then(
        (open) => open.destroy(),
        () => undefined,
      );
    },
  };
}

const sentMessage = (message: OutgoingMessage) => ({
  id: message.id,
  topic: message.topic,
  key: message.key,
  sequence: String(message.sequence),
  payload: message.payload === null ? null : Buffer.from(message.payload).toString("base64"),
});

interface Link {
  /** null: no answer came. */
  call(call: Call, deadlineMs: number): Promise<readonly Answer[] | null>;
  destroy(): void;
}

async function openLink(path: string, onClosed: () => void): Promise<Link> {
  const socket: Socket = connect(path);
  const waiting = new Map<number, (answers: readonly Answer[] | null) => void>();
  await new Promise<void>((resolve, reject) => {
    socket.once("connect", resolve);
    socket.once("error", reject);
  });
  socket.on("error", () => undefined); // `close` follows
  socket.once("close", () => {
    onClosed();
    for (const settle of waiting.values()) settle(null);
  });
  socket.setEncoding("utf8").on(
    "data",
    objectsIn<Reply>(({ call, answers }) => waiting.get(call)?.(answers)),
  );
  return {
    call: (call, deadlineMs) =>
      new Promise((resolve) => {
        const deadline = setTimeout(() => socket.destroy(), deadlineMs);
        waiting.set(call.call, (answers) => {
          clearTimeout(deadline);
          waiting.delete(call.call);
          resolve(answers);
        });
        if (socket.destroyed) waiting.get(call.call)?.(null);
        else socket.write(`${JSON.stringify(call)}\n`);
      }),
    destroy: () => {
      socket.destroy();
    },
  };
}
