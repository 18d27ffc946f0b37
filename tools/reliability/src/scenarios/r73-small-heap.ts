/**
 * R73. A consumer with a small heap, whose source may hold many messages, gets large ones only: it takes as many at a time as fit, stays within its memory, and
 * handles all.
 */
import { waitUntil } from "@waybill/testing";
import { openBankConsumer } from "../bank-consumer.ts";
import { memoryOf } from "../memory.ts";
import { scenario } from "../scenario.ts";

const mebibyte = 1_048_576;
/** A transfer with it is just below the largest that a ledger takes. */
const fillerBytes = 990_000;
const rowsAtOnce = 10;

export const smallHeap = scenario({
  code: "R73",
  title: "a consumer with a small heap handles messages of the greatest size within its memory, however many wait",
  databases: ["postgres", "mariadb", "mysql"],
  brokers: ["rabbitmq", "kafka"],
  scaled: { messages: 150, heapMiB: 96, memoryMaxMiB: 400 },
  full: { messages: 5_000, heapMiB: 96, memoryMaxMiB: 400 },
  async play(rig, { messages, heapMiB, memoryMaxMiB }) {
    const bank = await openBankConsumer(rig, { inbox: {}, nodeArgs: [`--max-old-space-size=${heapMiB}`] });
    const { delivery, seat, told } = bank;
    // It is away while they come: all wait for it at once.
    rig.demand("QS the consumer did not end when it was told", (await seat.end(30_000)) === 0);
    const filler = "x".repeat(fillerBytes);
    await delivery.relay.start();
    for (let nth = 0; nth < messages && !rig.signal.aborted; nth += rowsAtOnce)
      await delivery.write(
        Array.from({ length: Math.min(rowsAtOnce, messages - nth) }, (_, index) => bank.rowOf((nth + index) % 50, filler)),
      );
    await delivery.isQuiet(120_000);
    const waiting = await bank.tapped.waiting();
    rig.fault(`${messages} messages of a megabyte wait for a heap of ${heapMiB} MiB`, waiting * fillerBytes > heapMiB * mebibyte);
    rig.effort("messages that wait at once", waiting, (heapMiB * mebibyte) / fillerBytes);
    await seat.start();
    let bytesMost = 0;
    const look = async (): Promise<boolean> => {
      ({ bytesMost } = memoryOf(seat.pid()));
      return rig.signal.aborted || (await bank.credited()) >= messages;
    };
    await waitUntil(look, { what: "all are handled", deadlineMs: 240_000, intervalMs: 200 });
    rig.say(`it took ${Math.round(bytesMost / mebibyte)} MiB at most`);
    rig.demand(`it took ${Math.round(bytesMost / mebibyte)} MiB`, bytesMost > 0 && bytesMost <= memoryMaxMiB * mebibyte);
    rig.demand(`it died ${bank.deaths} times`, bank.deaths === 0);
    if (rig.broker === "rabbitmq")
      rig.effort("times that it took fewer at once", told.filter(({ name }) => name === "source.prefetchReduced").length, 1);
    await bank.end();
  },
});
