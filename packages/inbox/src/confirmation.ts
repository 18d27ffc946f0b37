/**
 * Tells the producer, in the transaction of the effect, that the effect is committed: `confirm` of the application's, for messages whose producer asks
 * this consumer for it. Duplicates and stale messages are confirmed, too: the consumer is done with them, and an earlier confirmation may be lost.
 *
 * It is part of the attempt: it has what is left of the handler's time, and what it throws fails the attempt, also at a message that was handled before.
 */
import { confirmByHeader, type ReceivedMessage } from "@waybill/core";
import type { OwnedTx } from "@waybill/sql";
import type { AttemptDeadline } from "./attempt-deadline.ts";
import { batchTx } from "./batch-tx.ts";
import type { Engine } from "./engine.ts";

/** Whether a message is to be confirmed: its producer asks this consumer, and the application said how. */
export function mustConfirm({ settings: { confirm, consumer } }: Engine, { headers }: ReceivedMessage): boolean {
  return confirm !== undefined && (headers.get(confirmByHeader)?.split(",").includes(consumer) ?? false);
}

/**
 * Confirms a message, if it asks for it. What `confirm` throws rolls back what the message did, and so does a `confirm` that has not ended at the deadline.
 * `isShared`: other messages share the transaction.
 */
export async function confirmEffect(
  engine: Engine,
  tx: OwnedTx,
  message: ReceivedMessage,
  { deadline, isShared }: { readonly deadline: AttemptDeadline; readonly isShared: boolean },
): Promise<void> {
  const { confirm, consumer } = engine.settings;
  if (confirm === undefined || !mustConfirm(engine, message)) return;
  const { id: messageId, type, topic, key } = message;
  const confirmed = { messageId, type, topic, key, consumer };
  engine.report({ name: "inbox.confirming", messageId });
  if (!isShared) {
    await deadline.during(async () => void (await confirm(tx, confirmed)));
  } else {
    const own = batchTx(tx);
    try {
      await deadline.during(async () => void (await confirm(own.tx, confirmed)));
    } finally {
      own.end();
    }
    const refusal = own.refusal();
    if (refusal !== null) throw refusal;
    await own.idle();
  }
  engine.report({ name: "inbox.confirmed", messageId });
}
