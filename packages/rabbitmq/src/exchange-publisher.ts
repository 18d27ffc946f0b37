/**
 * One exchange's confirm channel: what is on it, and what became of it.
 *
 *                 first message                      ack ──one turn of the loop──▶ confirmed, or unroutable if it was returned
 *     no channel ──────────────▶ declare ─▶ open ──▶ nack ────────────────────────▶ unknown
 *         ▲                                  │
 *         │◀── the link ended ───────────────┤  all on it: unknown (transport)
 *         │◀── no confirm by the deadline ───┤  all on it: unknown, and the channel or the link is given up
 *         │◀── the broker closed the channel ┤  one on it: that is the culprit · several: unknown, and SOLO until they are worked off
 *         └◀── nothing but nacks for a while ┘  none on it: a quorum queue that was full goes on refusing a channel when its limit is lifted
 *
 * An exchange has a channel of its own, because publishing to one that is gone closes the channel with everything on it (A18).
 *
 * Solo: after the broker closed the channel nobody knows which message it objected to. So the next channel carries one message at a
 * time until every message of the failed window has been settled. Whatever closes the channel then was alone on it.
 *
 * An alarm of the broker's stops all writes. What was written before stays where it is, for the broker has it or will read it: its
 * caller is told `unknown` at the deadline, nothing is given up, and a message that is published again meanwhile waits for the
 * confirm of its first publication. So a message is on the channel once at most.
 *
 * A crash at any arrow leaves messages that may be stored; they are published again with the same id.
 */
import { type Clock, emit, type OnEvent, type OutgoingMessage, type PublishOutcome, withDeadline } from "@waybill/core";
import { toPublish } from "./binary-mode.ts";
import { type ChannelWriter, channelWriter } from "./channel-writer.ts";
import type { BrokerConnection } from "./connection.ts";
import type { DriverConfirmChannel, DriverReturn } from "./driver.ts";
import type { ChannelEnd, Link, LinkChannel, LinkFailure } from "./link.ts";
import { type Evidence, failed, notSent, outcomeOf, rejectedAs } from "./outcome.ts";
import { applyTopology, type Topology, type TopologyMode } from "./topology.ts";
import { createWindow } from "./window.ts";

/** A call's own limits, as every message of it meets them. */
export interface Call {
  /** Nothing is written later than that: its confirm could hardly come in time. */
  readonly writeUntilMs: number;
  readonly mayWrite: (() => boolean) | undefined;
  /** Runs at the deadline. Answers how not to. */
  onDeadline(listener: () => void): () => void;
}

/** A message that is written, or surely will not be. */
export interface Publishing {
  readonly outcome: Promise<PublishOutcome> | PublishOutcome;
}

export interface ExchangePublisher {
  /** Nothing is on its way, or waits to be: it may be forgotten. */
  readonly isIdle: boolean;
  /**
   * Takes a place and writes the message. Answers as soon as it is written or surely will not be, at once where it can; `outcome`
   * settles by the call's deadline. Awaited before the next one, messages keep their order on the wire.
   */
  publish(message: OutgoingMessage, routingKey: string, call: Call): Publishing | Promise<Publishing>;
  /** Waiting messages look again why they wait: the transport is closing, or the broker blocks. */
  callOff(): void;
  /** Says goodbye to an idle channel. */
  close(deadlineMs: number): Promise<void>;
}

export interface ExchangePublisherOptions {
  readonly exchange: string;
  readonly connection: BrokerConnection;
  readonly topology: Topology;
  readonly mode: TopologyMode;
  readonly clock: Clock;
  readonly onEvent: OnEvent | undefined;
  /** The transport takes nothing new any more. */
  isClosing(): boolean;
}

/** More on its way makes nothing faster; less leaves a round trip idle. */
const messagesMax = 500;
const bytesMax = 4 * 1024 * 1024;
/** For one request about a channel or a declaration. */
const requestDeadlineMs = 5_000;
/** For the broker to let go of a channel that we gave up. */
const goodbyeMs = 2_000;
/** So many in a row, and nothing acked in between: the channel may be what is refused. */
const nacksMax = 10;
/** Messages of a failed window that did not come again in that time are somebody else's by now. */
const soloMsMax = 60_000;
/** When to ask again while the broker is blocked; `unblocked` may come at any time. */
const blockedAgainMs = 500;

/** A message on the channel. */
interface Sent {
  readonly id: string;
  readonly bytes: number;
  /** What had been heard on the link when it was written. */
  readonly heardBytes: number;
  /** Tells the call that waits for it. */
  tell: (outcome: PublishOutcome) => void;
  returnedCode: string | null;
  /** What the broker said of it, which counts in the next turn of the loop. */
  answer: "acked" | "nacked" | null;
}

interface OpenChannel {
  readonly link: Link;
  readonly channel: LinkChannel<DriverConfirmChannel>;
  /** Null: the driver does it. */
  readonly writer: ChannelWriter | null;
}

type Ready = { readonly kind: "open"; readonly open: OpenChannel } | { readonly kind: "notSent"; readonly outcome: PublishOutcome };

export function exchangePublisher(options: ExchangePublisherOptions): ExchangePublisher {
  const { exchange, connection, topology, mode, clock, onEvent, isClosing } = options;
  const onChannel = new Map<string, Sent>();
  /** Acked or nacked, and settled in the next turn of the loop: a return that belongs to it has arrived by then (A2). */
  let answered: Sent[] = [];
  let current: OpenChannel | null = null;
  let opening: Promise<Ready> | null = null;
  let users = 0;
  /** Nacks since the last ack of the channel. */
  let nacks = 0;
  /** Messages of a failed window that have not been settled since: while there are any, we publish solo. */
  const suspects = new Set<string>();
  let soloUntilMs = 0;

  const isSolo = (): boolean => {
    if (suspects.size > 0 && clock.monotonicMs() >= soloUntilMs) suspects.clear();
    return suspects.size > 0;
  };
  const window = createWindow(clock, { countMax: () => (isSolo() ? 1 : messagesMax), bytesMax });

  /** The one place where a message leaves the channel. */
  const settle = (sent: Sent, evidence: Evidence): void => {
    if (onChannel.get(sent.id) !== sent) return;
    onChannel.delete(sent.id);
    if (evidence.kind !== "unheard" && (evidence.kind !== "channelException" || evidence.isAlone)) suspects.delete(sent.id);
    sent.tell(outcomeOf(evidence, exchange));
    window.giveBack(sent.bytes);
  };

  const settleAnswered = (): void => {
    const settled = answered;
    answered = [];
    for (const sent of settled) {
      nacks = sent.answer === "nacked" ? nacks + 1 : 0;
      settle(sent, sent.answer === "nacked" ? { kind: "nacked" } : { kind: "acked", returnedCode: sent.returnedCode });
    }
    if (nacks < nacksMax || onChannel.size > 0 || current === null) return;
    const { channel } = current;
    current = null;
    nacks = 0;
    channel.close(goodbyeMs).catch(() => undefined); // a link that is silent then is reset
  };

  const answer = (sent: Sent, word: "acked" | "nacked"): void => {
    if (sent.answer !== null || onChannel.get(sent.id) !== sent) return;
    sent.answer = word;
    answered.push(sent);
    if (answered.length === 1) clock.setTimer(0, settleAnswered);
  };

  const onReturn = (broker: string, { fields, properties }: DriverReturn): void => {
    const sent = onChannel.get(properties.messageId ?? "");
    if (sent === undefined) return;
    sent.returnedCode = String(fields.replyCode);
    emit(onEvent, {
      name: "rabbitmq.returned",
      role: "transport",
      broker,
      exchange,
      messageId: sent.id,
      brokerCode: sent.returnedCode,
    });
  };

  /** The channel is gone. What the broker has answered is true all the same. */
  const onChannelEnd = (ended: OpenChannel, end: ChannelEnd): void => {
    if (current !== ended) return;
    current = null;
    const unanswered = [...onChannel.values()].filter((sent) => sent.answer === null);
    if (end.isLinkLost) {
      for (const sent of unanswered) settle(sent, { kind: "unheard", scope: "transport", failure: end });
      return;
    }
    if (end.reason !== "channelException") {
      for (const sent of unanswered) settle(sent, { kind: "unheard", scope: "topic", failure: end });
      return;
    }
    const { broker } = ended.link;
    const { reason, brokerCode } = end;
    const unsettled = unanswered.length;
    emit(onEvent, { name: "rabbitmq.channelClosed", role: "transport", broker, exchange, reason, brokerCode, unsettled });
    const isAlone = unsettled === 1;
    if (isAlone && unanswered[0] !== undefined)
      emit(onEvent, { name: "rabbitmq.culpritFound", role: "transport", broker, exchange, messageId: unanswered[0].id, brokerCode });
    if (unsettled > 1) {
      soloUntilMs = clock.monotonicMs() + soloMsMax;
      for (const { id } of unanswered) suspects.add(id);
    }
    for (const sent of unanswered) settle(sent, { kind: "channelException", isAlone, failure: end });
  };

  const notReady = (failure: LinkFailure, scope: "topic" | "transport", afterMs?: number): Ready => ({
    kind: "notSent",
    outcome: notSent(exchange, failure, scope, afterMs),
  });

  const open = async (): Promise<Ready> => {
    const connected = await connection.connect(requestDeadlineMs);
    if (connected.kind === "failed") return notReady(connected.failure, "transport", connected.afterMs);
    const { link } = connected;
    if (link.blocked !== null) return notReady(failed("blocked"), "transport", blockedAgainMs);
    const wrong = await applyTopology(link, topology, mode, requestDeadlineMs);
    if (wrong !== null)
      return wrong.kind === "refused"
        ? notReady({ ...wrong.failure, reason: "topologyRefused", cause: wrong.error }, "topic")
        : notReady(wrong.failure, wrong.failure.isLinkLost ? "transport" : "topic");
    const opened = await link.openConfirmChannel(requestDeadlineMs);
    if (opened.kind === "failed") return notReady(opened.failure, opened.failure.isLinkLost ? "transport" : "topic");
    const channel = opened.value;
    const made: OpenChannel = { link, channel, writer: channelWriter(channel.driver, exchange) };
    current = made;
    channel.driver.on("return", (returned) => {
      // Of a channel that was given up it tells nothing of what was published again since.
      if (current === made) onReturn(link.broker, returned);
    });
    const forgetBlocked = link.onBlocked((isBlocked) => {
      if (isBlocked) window.callOff();
    });
    channel.onEnd((end) => {
      forgetBlocked();
      onChannelEnd(made, end);
    });
    return { kind: "open", open: made };
  };

  /** The channel: the one there is, or a new one. All who wait share one attempt. */
  const ready = async (call: Call): Promise<Ready> => {
    if (current !== null) return { kind: "open", open: current };
    opening ??= open().finally(() => {
      opening = null;
    });
    const waited = await withDeadline(clock, Math.max(0, call.writeUntilMs - clock.monotonicMs()), opening);
    return waited.kind === "settled" ? waited.value : notReady(failed("connectDeadline"), "transport");
  };

  /** Nobody is heard of, or not about this: the deadline of a message that was written has passed. */
  const giveUp = (sent: Sent): void => {
    if (onChannel.get(sent.id) !== sent || sent.answer !== null || current === null) return;
    const { link, channel } = current;
    const failure = failed("deadline");
    if (link.heardBytes === sent.heardBytes) {
      link.reset("deadline");
      return;
    }
    // The broker is there, and silent about this exchange alone: a queue without a majority, for one. Others must not suffer for it.
    current = null;
    for (const each of [...onChannel.values()].filter((one) => one.answer === null))
      settle(each, { kind: "unheard", scope: "topic", failure });
    channel.close(goodbyeMs).catch(() => undefined); // a link that is silent then is reset
  };

  const unheardBehindAlarm: Evidence = { kind: "unheard", scope: "transport", failure: failed("blocked"), afterMs: blockedAgainMs };

  /** The outcome of what is on the channel, as a call sees it: by its deadline. */
  const within = (call: Call, sent: Sent): Promise<PublishOutcome> =>
    new Promise((resolve) => {
      const before = sent.tell;
      let forget = (): void => undefined;
      sent.tell = (outcome) => {
        before(outcome);
        forget();
        resolve(outcome);
      };
      // Last, for a call that is over already gives up at once.
      forget = call.onDeadline(() => {
        const isBlocked = current !== null && current.link.blocked !== null;
        if (isBlocked && sent.answer === null) resolve(outcomeOf(unheardBehindAlarm, exchange));
        else giveUp(sent);
      });
    });

  /** What is on the channel already, from a call that has given it up or from the same one: its confirm counts for this one, too. */
  const join = (call: Call, sent: Sent): Publishing =>
    current !== null && current.link.blocked !== null
      ? { outcome: outcomeOf(unheardBehindAlarm, exchange) }
      : { outcome: within(call, sent) };

  /** Writes, in one synchronous step from the last question to the caller to the driver's buffer. */
  const write = (message: OutgoingMessage, routingKey: string, open: OpenChannel, call: Call): Sent | PublishOutcome => {
    const { link, channel, writer } = open;
    if (isClosing()) return notSent(exchange, failed("closed"), "transport");
    if (clock.monotonicMs() >= call.writeUntilMs) return notSent(exchange, failed("deadline"), "topic");
    if (call.mayWrite?.() === false) return notSent(exchange, failed("leaseLost"), "transport");
    const { id } = message;
    const sent: Sent = {
      id,
      bytes: bytesOf(message),
      heardBytes: link.heardBytes,
      tell: () => undefined,
      returnedCode: null,
      answer: null,
    };
    const onConfirm = (error: Error | null): void => {
      if (error === null) answer(sent, "acked");
      else if (channel.isOpen) onRefused(sent, channel);
    };
    if (writer !== null && writer.publish(message, routingKey, onConfirm)) {
      onChannel.set(id, sent);
      return sent;
    }
    writer?.flush(); // what was written before goes before
    const made = toPublish(message);
    if ("problem" in made) return rejectedAs(exchange, failed(made.problem, made.cause));
    try {
      // Its answer is about the driver's buffer, which takes everything (A11); our window is the bound.
      channel.driver.publish(exchange, routingKey, made.content, made.options, onConfirm);
    } catch (error) {
      if (channel.isOpen && (error as Error).name !== "IllegalOperationError") return rejectedAs(exchange, failed("messageInvalid", error));
      return notSent(exchange, failed("channelClosed", error), link.isOpen ? "topic" : "transport");
    }
    onChannel.set(id, sent);
    return sent;
  };

  /** The driver has one word for a nack and for a channel that closes; in the next turn of the loop we know which it was. */
  const onRefused = (sent: Sent, channel: LinkChannel<DriverConfirmChannel>): void => {
    clock.setTimer(0, () => {
      if (channel.isOpen) answer(sent, "nacked");
    });
  };

  /** Writes with a place in hand, and gives it back if nothing came of it. */
  const writeWithPlace = (message: OutgoingMessage, routingKey: string, open: OpenChannel, call: Call, bytes: number): Publishing => {
    const before = onChannel.get(message.id);
    const written = before === undefined ? write(message, routingKey, open, call) : before;
    if (!("kind" in written) && before === undefined) return { outcome: within(call, written) };
    window.giveBack(bytes);
    return "kind" in written ? { outcome: written } : join(call, written);
  };

  /** null: it had its place before solo began, and must wait for another. */
  const publishWithPlace = async (message: OutgoingMessage, routingKey: string, call: Call, bytes: number): Promise<Publishing | null> => {
    const now = await ready(call);
    if (now.kind === "open" && now.open === current && now.open.link.blocked === null && !(isSolo() && onChannel.size > 0))
      return writeWithPlace(message, routingKey, now.open, call, bytes);
    window.giveBack(bytes);
    if (now.kind === "notSent") return { outcome: now.outcome };
    const { link, channel } = now.open;
    if (now.open !== current)
      return { outcome: notSent(exchange, channel.end ?? failed("channelClosed"), link.isOpen ? "topic" : "transport") };
    if (link.blocked !== null) return { outcome: notSent(exchange, failed("blocked"), "transport", blockedAgainMs) };
    return null;
  };

  const publishInTurn = async (message: OutgoingMessage, routingKey: string, call: Call): Promise<Publishing> => {
    users += 1;
    try {
      const bytes = bytesOf(message);
      for (;;) {
        if (!(await window.take(bytes, call.writeUntilMs - clock.monotonicMs()))) return { outcome: noPlace() };
        const publishing = await publishWithPlace(message, routingKey, call, bytes);
        if (publishing !== null) return publishing;
      }
    } finally {
      users -= 1;
    }
  };

  /** Why there was no place. */
  const noPlace = (): PublishOutcome => {
    if (isClosing()) return notSent(exchange, failed("closed"), "transport");
    if (current !== null && current.link.blocked !== null) return notSent(exchange, failed("blocked"), "transport", blockedAgainMs);
    return notSent(exchange, failed("deadline"), "topic");
  };

  return {
    get isIdle() {
      return users === 0 && onChannel.size === 0 && opening === null;
    },
    publish(message, routingKey, call) {
      const before = onChannel.get(message.id);
      if (before !== undefined) return join(call, before);
      // Nothing to wait for, as for all but a few messages: not even a turn of the loop.
      if (current === null || current.link.blocked !== null || isSolo()) return publishInTurn(message, routingKey, call);
      const bytes = bytesOf(message);
      if (!window.takeNow(bytes)) return publishInTurn(message, routingKey, call);
      return writeWithPlace(message, routingKey, current, call, bytes);
    },
    callOff: () => window.callOff(),
    async close(deadlineMs) {
      const open = current;
      current = null;
      await open?.channel.close(deadlineMs);
    },
  };
}

function bytesOf({ payload, key, headers }: OutgoingMessage): number {
  let bytes = (payload?.byteLength ?? 0) + (key?.length ?? 0) + 512;
  for (const [name, value] of headers) bytes += name.length + value.length;
  return bytes;
}
