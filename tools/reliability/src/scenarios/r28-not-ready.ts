/**
 * R28. Rows wait and nothing moves them: the subscription is paused, or what its destination does not take grows old. The relay lives, is not ready within
 * its time, and says why; and it is ready again when things move.
 */
import { pauseSubscription, resumeSubscription } from "@waybill/relay";
import { freePort, waitUntil } from "@waybill/testing";
import { openDelivery, spaceOf } from "../delivery.ts";
import { startEndpoint } from "../endpoint.ts";
import { scenario } from "../scenario.ts";

interface Ready {
  readonly status: number;
  readonly text: string;
}

const who = { who: "reliability", why: "to see what is said about it" } as const;

export const notReady = scenario({
  code: "R28",
  title: "a relay whose subscription is paused, or whose messages do not go out, lives, is not ready in time, and says why",
  databases: ["postgres", "mariadb", "mysql"],
  brokers: [],
  scaled: { rows: 50, detectMs: 3_000, slackMs: 2_000 },
  full: { rows: 5_000, detectMs: 30_000, slackMs: 2_000 },
  async play(rig, { rows, detectMs, slackMs }) {
    const endpoint = await startEndpoint();
    rig.defer(() => endpoint.stop());
    const delivery = await openDelivery(rig, { transport: endpoint.url, received: () => endpoint.received });
    const { place } = delivery;
    const port = await freePort();
    delivery.relayArgs = ["--admin", `127.0.0.1:${port}`, "--ready-max-age-ms", String(detectMs), "--attempts-max", "10000"];
    const ask = async (): Promise<Ready | null> => {
      const answer = await fetch(`http://127.0.0.1:${port}/readyz`, { signal: AbortSignal.timeout(2_000) }).catch(() => null);
      return answer === null ? null : { status: answer.status, text: await answer.text() };
    };
    const isReady = async (): Promise<boolean> => (await ask())?.status === 200;
    /** Why it is not; waits for it. */
    const becomesRed = async (what: string, because: RegExp): Promise<void> => {
      const beganMs = performance.now();
      const red = await waitUntil(
        async () => {
          const now = await ask();
          return now !== null && now.status !== 200 && because.test(now.text) ? now : null;
        },
        { what: `the relay is not ready because ${what}`, deadlineMs: 60_000, intervalMs: 50 },
      );
      rig.within(`${what}: not ready, with status ${red.status}`, performance.now() - beganMs, detectMs + slackMs);
      rig.demand(`${what}: the relay has ended`, delivery.relay.pid() !== null);
      rig.fault(what, red.status === 503);
    };
    const some = Array.from({ length: rows }, (_, index) => ({ topic: "notes", key: `key-${index % 9}` }));
    await delivery.relay.start();
    await delivery.write(some);
    await delivery.isQuiet();
    await waitUntil(isReady, { what: "the relay is ready", deadlineMs: 60_000, intervalMs: 50 });

    await pauseSubscription(place.database, spaceOf(place), {}, who);
    await delivery.write(some);
    await becomesRed("the subscription is paused", /paused/);
    await resumeSubscription(place.database, spaceOf(place), {}, who);
    await delivery.isQuiet();
    await waitUntil(isReady, { what: "the relay is ready again", deadlineMs: 60_000, intervalMs: 50 });

    endpoint.answer = () => ({ status: 503 });
    await delivery.write(some);
    await becomesRed("the destination takes nothing", /oldest unpublished message/);
    endpoint.answer = () => ({ status: 200 });
    await delivery.isQuiet();
    await waitUntil(isReady, { what: "the relay is ready once more", deadlineMs: 60_000, intervalMs: 50 });
    await delivery.end();
  },
});
