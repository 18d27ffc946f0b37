/**
 * Where messages go: a process that no fault reaches, which notes what arrives in the order in which it arrives, before it answers.
 *
 *     relay ──call──▶ [ late · noted and never answered · not even noted ] ──▶ noted ──▶ confirmed | rejected | again | unknown
 *
 * It keeps the contract of a transport's far end: of a key, nothing is noted behind a message that was not confirmed in the same call. How
 * it misbehaves follows from the seed and from the moods that the schedule puts it in; poison it refuses until it is offered again.
 */
import { createServer, type Socket } from "node:net";
import { digest, type Received } from "@waybill/auditor";
import type { Random } from "@waybill/core";
import type { Mood } from "./schedule.ts";
import { type Answer, type Call, objectsIn, type Reply, type SentMessage } from "./wire.ts";

export interface Destination {
  /** Everything that was noted, repetitions included. */
  readonly received: readonly Received[];
  /** First arrivals whose id lies below that of one that had arrived before: messages that were holes. */
  readonly late: number;
  /** Calls that a mood, or chance, spoiled. */
  readonly spoiled: number;
  /** Misbehaves like this until it is lifted. */
  setMood(mood: Mood): () => void;
  /** From now on takes everything at once. */
  behave(): void;
  close(): Promise<void>;
}

/** Notes nothing of a call that it hangs up on; `doubt`: takes messages and says that it does not know. */
const answers = ["retryMessage", "unknown"] as const;

export async function openDestination(path: string, random: Random): Promise<Destination> {
  const received: Received[] = [];
  const moods = new Set<{ readonly mood: Mood }>();
  const seen = new Set<string>();
  const offers = new Map<string, number>();
  const sockets = new Set<Socket>();
  let highest = 0n;
  let late = 0;
  let spoiled = 0;
  let isGood = false;
  const chance = (probability: number): boolean => !isGood && random.fraction() < probability;
  const has = (wanted: Mood): boolean => [...moods].some(({ mood }) => mood === wanted);

  const note = (message: SentMessage, payload: Buffer | null): void => {
    const sequence = BigInt(message.sequence);
    received.push({
      subscription: "default",
      messageId: message.id,
      payloadDigest: digest(payload),
      topic: message.topic,
      key: message.key,
      sequence,
    });
    if (seen.has(message.id)) return;
    seen.add(message.id);
    if (sequence < highest) late += 1;
    else highest = sequence;
  };

  const take = (message: SentMessage): Answer => {
    if (chance(0.003)) return "retryMessage";
    if (chance(0.002)) return "unknown";
    if (has("doubt") && chance(0.3)) {
      const answer = answers[Math.floor(random.fraction() * answers.length)] as Answer;
      if (answer === "unknown" && random.fraction() < 0.5) note(message, bytesOf(message));
      return answer;
    }
    const payload = bytesOf(message);
    if (message.topic === "poison" && payload?.includes('"isPoison":true') === true) {
      const offered = (offers.get(message.id) ?? 0) + 1;
      offers.set(message.id, offered);
      if (offered === 1) return "rejected";
    }
    note(message, payload);
    return "confirmed";
  };

  /** In one synchronous step: what another call brings comes before all of it or after. */
  const takeAll = (messages: readonly SentMessage[]): Answer[] => {
    const stopped = new Set<string>();
    const isRefusing = has("refuse");
    return messages.map((message) => {
      const lane = message.key === null ? message.id : `${message.topic} ${message.key}`;
      if (stopped.has(lane)) return "behind";
      const answer = isRefusing && message.topic === "ordered" ? "retryTopic" : take(message);
      if (answer !== "confirmed") stopped.add(lane);
      return answer;
    });
  };

  const serve = async (socket: Socket, { call, messages }: Call): Promise<void> => {
    if (has("slow") || chance(0.01)) {
      spoiled += 1;
      await after(20 + random.fraction() * 400);
    }
    const isHanging = has("hang") || chance(0.005);
    if (isHanging || has("refuse")) spoiled += 1;
    // Of what is never answered a part is noted, and a part of that long after the relay has given it up.
    if (isHanging && random.fraction() < 0.3) return;
    if (isHanging && random.fraction() < 0.3) await after(random.fraction() * 4_000);
    if (!isHanging && has("refuse") && random.fraction() < 0.2) {
      answer(socket, { call, answers: messages.map(() => "retryTransport") });
      return;
    }
    const taken = takeAll(messages);
    if (isHanging) return;
    answer(socket, { call, answers: taken });
  };

  const server = createServer((socket) => {
    sockets.add(socket);
    socket.once("close", () => sockets.delete(socket));
    socket.on("error", () => undefined); // its relay was killed
    const onText = objectsIn<Call>((call) => {
      serve(socket, call).catch((error: unknown) => {
        throw error;
      });
    });
    socket.setEncoding("utf8").on("data", onText);
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(path, resolve);
  });

  return {
    received,
    get late() {
      return late;
    },
    get spoiled() {
      return spoiled;
    },
    setMood(mood) {
      const own = { mood };
      moods.add(own);
      return () => moods.delete(own);
    },
    behave() {
      isGood = true;
      moods.clear();
    },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        for (const socket of sockets) socket.destroy();
      }),
  };
}

const bytesOf = ({ payload }: SentMessage): Buffer | null => (payload === null ? null : Buffer.from(payload, "base64"));

function answer(socket: Socket, reply: Reply): void {
  if (!socket.destroyed) socket.write(`${JSON.stringify(reply)}\n`);
}

const after = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
