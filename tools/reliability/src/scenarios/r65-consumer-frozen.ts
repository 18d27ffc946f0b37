/**
 * R65. The consumer at work is frozen inside a handler for longer than anybody believes in it, and thawed: its message is handled by the other one
 * meanwhile; what the thawed one had begun does not commit, and what it settles under its old membership counts for nothing.
 */
import { scenario } from "../scenario.ts";

export const consumerFrozen = scenario({
  code: "R65",
  title: "the message of a consumer that is frozen in its handler is handled elsewhere, and once, also when it thaws",
  databases: ["postgres", "mariadb", "mysql"],
  brokers: ["kafka", "rabbitmq"],
  why: "MySQL ends the transaction of a client that hangs after a minute, which the scaled form takes longer there.",
  scaled: { rounds: 1, sessionTimeoutMs: 6_000, elsewhereMaxMs: 30_000, mysqlMs: 60_000, thawedMs: 3_000, perSecond: 100 },
  full: { rounds: 10, sessionTimeoutMs: 20_000, elsewhereMaxMs: 60_000, mysqlMs: 60_000, thawedMs: 10_000, perSecond: 300 },
  async play(rig, { rounds, sessionTimeoutMs, elsewhereMaxMs, mysqlMs, thawedMs, perSecond }) {
    const isMysql = rig.servers.database.name.startsWith("mysql");
    const maxMs = elsewhereMaxMs + (isMysql ? mysqlMs : 0);
    const load = await rig.openLoad({ tellsAll: true, sessionTimeoutMs, perSecond });
    let handledElsewhere = 0;
    for (let round = 0; round < rounds; round += 1) {
      const victim = load.busyConsumer();
      const { name } = victim.seat;
      const pid = victim.seat.pid();
      const from = load.told.length;
      load.dieAt(victim, "inbox.handling", { nth: 1 + Math.floor(rig.random.fraction() * 3), signal: "SIGSTOP" });
      // Whoever is frozen tells nothing any more: the last that it told is where it stands.
      let last = "";
      let quietSinceMs = performance.now();
      while (pid !== null && performance.now() - quietSinceMs < 1_000 && !rig.signal.aborted) {
        const handling = load.told.slice(from).findLast(({ who }) => who === name);
        const now = `${String(handling?.event["name"])} ${String(handling?.event["messageId"])} ${handling?.atMs}`;
        if (now !== last) quietSinceMs = performance.now();
        last = now;
        await rig.pause(50);
      }
      const standing = load.told.slice(from).findLast(({ who }) => who === name)?.event;
      const messageId = standing?.["name"] === "inbox.handling" ? standing["messageId"] : undefined;
      const frozenMs = performance.now();
      const isHandledElsewhere = await load
        .waitFor(({ who, event }) => who !== name && event["name"] === "inbox.committed" && event["messageId"] === messageId, {
          what: "the other consumer handles the message",
          deadlineMs: 2 * maxMs,
          from,
        })
        .then(
          ({ atMs }) => {
            rig.within("the message of the frozen one was handled elsewhere", atMs - frozenMs, maxMs);
            return true;
          },
          () => false,
        );
      rig.fault("freeze a consumer in its handler", messageId !== undefined);
      rig.demand("nobody took the message of a frozen consumer over", isHandledElsewhere || messageId === undefined);
      if (isHandledElsewhere) handledElsewhere += 1;
      const thawedAt = load.told.length;
      if (pid !== null) process.kill(pid, "SIGCONT");
      const alive = load.waitFor(({ who }) => who === name, { what: "the thawed one says something", from: thawedAt });
      rig.demand(
        "the thawed consumer says nothing any more",
        await alive.then(
          () => true,
          () => false,
        ),
      );
      await rig.pause(thawedMs);
      const late = load.told
        .slice(thawedAt)
        .filter(({ who, event }) => who === name && event["name"] === "inbox.committed" && event["messageId"] === messageId);
      rig.demand("the thawed consumer committed what another one had handled", late.length === 0 || !isHandledElsewhere);
    }
    const { verdict } = await rig.endLoad(load);
    rig.effort("messages of a frozen consumer that were handled elsewhere", handledElsewhere, rounds);
    const stale = load.told.filter(({ event }) => event["name"] === "source.rebuilding" && String(event["reason"]).includes("406"));
    rig.demand(`${stale.length} channels ended by a tag that was not theirs`, stale.length === 0);
    rig.effort("messages handled", verdict.counts.effects, 100);
  },
});
