/**
 * R46. The broker is stopped and started, and killed and started, while relays publish: what was in flight ends in time, and publishing goes on soon
 * after the broker takes messages again.
 */
import { waitUntil } from "@waybill/testing";
import { scenario } from "../scenario.ts";

export const brokerRestarted = scenario({
  code: "R46",
  title: "when the broker is restarted or killed, what is in flight ends in time, and publishing goes on soon after it is back",
  databases: ["postgres", "mariadb", "mysql"],
  brokers: ["rabbitmq", "kafka"],
  scaled: { rounds: 2, downMs: 1_000, settleMaxMs: 10_000, rabbitmqMs: 5_000, kafkaMs: 10_000, perSecond: 150 },
  full: { rounds: 10, downMs: 5_000, settleMaxMs: 10_000, rabbitmqMs: 5_000, kafkaMs: 10_000, perSecond: 300 },
  async play(rig, { rounds, downMs, settleMaxMs, rabbitmqMs, kafkaMs, perSecond }) {
    const { started } = rig.servers.broker;
    rig.effort("brokers of our own", started === null ? 0 : 1, 1);
    if (started === null) return;
    const load = await rig.openLoad({ tellsAll: true, perSecond });
    const resumeMaxMs = rig.broker === "kafka" ? kafkaMs : rabbitmqMs;
    /** Calls of the relay at work that were begun and have not ended, of what was told before `to`. */
    const inFlight = (who: string, to = load.told.length): number => {
      const names = load.told.slice(0, to).flatMap((told) => (told.who === who ? [told.event["name"]] : []));
      return names.filter((name) => name === "relay.publishing").length - names.filter((name) => name === "relay.published").length;
    };
    let caught = 0;
    for (let round = 0; round < rounds; round += 1) {
      const { name: who } = load.holder().seat;
      const signal = round % 2 === 0 ? "SIGKILL" : "SIGTERM";
      await load.waitFor((told) => told.who === who && told.event["name"] === "relay.publishing", { what: "a relay publishes" });
      const beganMs = performance.now();
      const gone = started.kill(signal);
      const at = load.told.length;
      await gone;
      const goneMs = performance.now();
      // Those that were begun by now must end, whatever is begun after them.
      const begun = inFlight(who) + load.told.filter((told) => told.who === who && told.event["name"] === "relay.published").length;
      const ended = () => load.told.filter((told) => told.who === who && told.event["name"] === "relay.published").length >= begun;
      const failures = () =>
        load.told.slice(at).filter(({ event }) => Number(event["unknown"] ?? 0) + Number(event["retry"] ?? 0) > 0).length;
      await waitUntil(() => (ended() && failures() > 0) || rig.signal.aborted, { what: "what was in flight ends", deadlineMs: 60_000 });
      const settledMs = performance.now();
      rig.within(`${signal}: what was in flight ended`, settledMs - goneMs, settleMaxMs);
      if (failures() > 0) caught += 1;
      rig.fault(`${signal === "SIGKILL" ? "kill" : "stop"} the broker while a relay publishes`, failures() > 0);
      await rig.pause(downMs);
      const beforeReady = load.told.length;
      await started.restart();
      const readyMs = performance.now();
      const resumed = await load.waitFor(({ event }) => event["name"] === "relay.published" && Number(event["confirmed"]) > 0, {
        what: "relays publish again",
        from: beforeReady,
      });
      rig.within(`${signal}: published again`, Math.max(0, resumed.atMs - readyMs), resumeMaxMs);
      rig.say(`the broker was away for ${Math.round(readyMs - beganMs)} ms`);
    }
    await rig.endLoad(load);
    rig.effort("restarts that met a relay publishing", caught, rounds);
  },
});
