/**
 * R07. One transaction appends the same id twice: told to pass over it, the second call answers the first one's id; not told, it is an error, and so is other
 * content in any case. The transaction stays usable throughout, and each id is in the ledger once.
 */
import { isWaybillError, newMessageId } from "@waybill/core";
import { append } from "@waybill/outbox";
import { openDelivery } from "../delivery.ts";
import { startEndpoint } from "../endpoint.ts";
import { intentOf, noted, openSession } from "../own-transactions.ts";
import { scenario } from "../scenario.ts";

export const sameId = scenario({
  code: "R07",
  title: "an id that one transaction appends twice is there once, other content under it is an error, and the transaction stays usable",
  databases: ["postgres", "mariadb", "mysql"],
  brokers: [],
  scaled: { rounds: 40 },
  full: { rounds: 1_000 },
  async play(rig, { rounds }) {
    const endpoint = await startEndpoint();
    rig.defer(() => endpoint.stop());
    const delivery = await openDelivery(rig, { transport: endpoint.url, received: () => endpoint.received });
    const session = await openSession(rig, delivery);
    await delivery.relay.start();
    const isRepeated = (work: Promise<unknown>): Promise<boolean> =>
      work.then(
        () => false,
        (error: unknown) => {
          if (isWaybillError(error, "WAYBILL_MESSAGE_ID_REPEATED")) return true;
          throw error;
        },
      );
    let refused = 0;
    for (let round = 0; round < rounds; round += 1) {
      const note = { key: `key-${round % 5}`, payload: { round } };
      const ids = [newMessageId(), newMessageId()] as const;
      const [first, behind] = ids.map((id) => noted(note, id)) as [ReturnType<typeof noted>, ReturnType<typeof noted>];
      const other = noted({ ...note, payload: { round, isOther: true } }, ids[0]);
      await session.run("begin");
      for (const id of ids) await session.run("insert into note values (?)", [id]);
      const [answered] = await append(session.handle, first);
      const [again] = await append(session.handle, [first], { onRepeatedId: "ignore" });
      rig.demand("the second call answered another id than the first", answered === ids[0] && again === ids[0]);
      for (const work of [
        () => append(session.handle, first),
        () => append(session.handle, other),
        () => append(session.handle, [other], { onRepeatedId: "ignore" }),
      ]) {
        const isRefused = await isRepeated(work());
        rig.demand("an id was appended twice, or with other content, without an error", isRefused);
        if (isRefused) refused += 1;
      }
      await append(session.handle, behind);
      await session.run("commit");
      for (const [index, made] of [first, behind].entries()) delivery.intend(intentOf(note, made, ids[index] as string, "committed"));
    }
    await delivery.isQuiet();
    const { ledger } = await delivery.end();
    rig.demand(`${ledger.length} rows in the ledger of ${2 * rounds}`, ledger.length === 2 * rounds);
    rig.effort("repeated ids that were refused", refused, 3 * rounds);
  },
});
