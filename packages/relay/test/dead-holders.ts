/** Holders that go away without a word: what they leave, and relays that die of a message until one of them puts it aside. */
import type { OutgoingMessage, PublishOutcome, Transport } from "@waybill/core";
import { waitUntil } from "@waybill/testing";
import { inBoth } from "./application.ts";
import type { RelayFixture, StartedRelay } from "./relay-fixture.ts";

interface Left {
  readonly progressed?: boolean;
  readonly soloId?: number;
  readonly soloDeaths?: Readonly<Record<string, number>>;
}

/** Leaves the subscription as a holder that died would. */
export async function leave(fixture: RelayFixture, { progressed = false, soloId, soloDeaths = {} }: Left): Promise<void> {
  await fixture.run({
    postgres: "insert into waybill_subscription (stream, subscription) values ('default', 'default') on conflict do nothing",
    mysql: `insert into waybill_subscription (stream, subscription, holes, solo_deaths) values ('default', 'default', '[]', '{}')
            on duplicate key update stream = stream`,
  });
  await fixture.run(
    inBoth(
      ({ uuid, aSecondAgo }) =>
        `update waybill_subscription
         set owner = ${uuid}, epoch = epoch + 1, lease_until = ${aSecondAgo}, progressed = ?, solo_id = ?, solo_deaths = ?`,
    ),
    [progressed, soloId ?? null, JSON.stringify(soloDeaths)],
  );
}

/** A transport whose process ends when it is given this sequence: the call never comes back, until it does not matter any more. */
function killedBy(sequence: number): { readonly transport: Transport; readonly published: number[]; isDead(): boolean; bury(): void } {
  const published: number[] = [];
  let isDead = false;
  let bury: () => void = () => undefined;
  const grave = new Promise<void>((resolve) => {
    bury = resolve;
  });
  const transport: Transport = {
    publish: async (batch: readonly OutgoingMessage[]): Promise<readonly PublishOutcome[]> => {
      if (isDead || batch.some((message) => Number(message.sequence) === sequence)) {
        isDead = true;
        await grave;
        throw new Error("a dead process publishes nothing");
      }
      published.push(...batch.map((message) => Number(message.sequence)));
      return batch.map(() => ({ kind: "confirmed" }) as const);
    },
    close: () => Promise.resolve(),
  };
  return { transport, published, isDead: () => isDead, bury: () => bury() };
}

/**
 * Relays that follow each other, each of which dies when it publishes this sequence, until one gives it up; that one goes on.
 * `onStarted` runs while each of them does.
 */
export async function dieOf(
  fixture: RelayFixture,
  sequence: number,
  onStarted: () => Promise<void>,
): Promise<{ readonly deaths: number; readonly published: () => readonly number[] }> {
  const graves: { readonly published: readonly number[] }[] = [];
  let relay: StartedRelay | null = null;
  for (let deaths = 0; deaths < 12; deaths += 1) {
    const grave = killedBy(sequence);
    graves.push(grave);
    // A lease that no slow machine loses by itself: a relay without one waits for its call, and saves nothing any more.
    const alone = { batchMax: 1, publishDeadlineMs: 60_000, drainMs: 0, leaseMs: 60_000 };
    const next: StartedRelay = fixture.start({ transport: grave.transport, ...alone });
    // The lease of the last one is over, whatever it still does with its own.
    await waitUntil(
      async () => {
        if (next.eventsOf("relay.leaseAcquired").length > 0) return true;
        await fixture.run(inBoth(({ aSecondAgo }) => `update waybill_subscription set lease_until = ${aSecondAgo}`));
        return false;
      },
      { what: "the next relay has taken over", intervalMs: 50 },
    );
    await relay?.stop().catch(() => undefined);
    relay = next;
    await onStarted();
    const isOver = await waitUntil(async () => (grave.isDead() ? "dead" : (await fixture.letters()).length > 0 ? "found" : null), {
      what: "the relay dies or puts the message aside",
    });
    if (isOver === "found") return { deaths, published: () => graves.flatMap(({ published }) => published) };
    await waitUntil(() => next.eventsOf("relay.cursorSaved").length > 0, { what: "its cursor is saved" });
    // Let go of the dead one only when its lease is somebody else's: what it still holds must not get back to life.
    void next.seen("relay.leaseLost").then(
      () => grave.bury(),
      () => grave.bury(),
    );
  }
  throw new Error("nobody found the message that kills");
}
