/**
 * A consumer of load L beside messages of a scenario's own: the same program, the bank's tables in the delivery's place, and transfers written as any program
 * may write them.
 *
 *     rowOf(…) ──▶ ledger ──▶ relay ──▶ broker ──▶ the consumer's process ──▶ credit rows ──▶ audit
 */
import { type ChildEvent, createSeat, type Seat, waitUntil } from "@waybill/testing";
import { consumerName, createTargetTables } from "./bank.ts";
import type { ConsumerProgramOptions } from "./consumer-program.ts";
import { type Delivery, type EffectReader, type NewRow, openDelivery } from "./delivery.ts";
import { ownPrograms } from "./load.ts";
import type { Rig } from "./rig.ts";
import type { TappedTopic } from "./tapped-topic.ts";
import { tapTopics } from "./tapped-topics.ts";

const partitions = 2;
const credits: EffectReader = { consumer: consumerName, sql: "select message_id from credit order by place" };

export interface BankConsumerOptions extends Pick<ConsumerProgramOptions, "inbox" | "deadlyFiller"> {
  /** For Node. */
  readonly nodeArgs?: readonly string[];
}

export interface BankConsumer {
  readonly delivery: Delivery;
  readonly tapped: TappedTopic;
  /** Started, and at work. A consumer that is killed is no crash: whoever wants it starts it again. */
  readonly seat: Seat;
  /** What it told, all starts together. */
  readonly told: readonly ChildEvent[];
  /** How often it was killed. */
  readonly deaths: number;
  rowOf(account: number, filler: string): NewRow;
  /** How many transfers have arrived. */
  credited(): Promise<number>;
  /** Stops it, when nothing waits at the broker, and has everything judged. */
  end(): Promise<void>;
}

export async function openBankConsumer(rig: Rig, { nodeArgs = [], ...rest }: BankConsumerOptions): Promise<BankConsumer> {
  const { broker } = rig.servers;
  const all = tapTopics(rig);
  const group = `${all.prefix}-bank`;
  const { topic, ...tapped } = await all.make("transfers", { partitions, groups: [group] });
  const delivery = await openDelivery(rig, {
    transport: broker.url,
    relayArgs: rig.broker === "rabbitmq" ? ["--rabbitmq-partitions", String(partitions)] : [],
    received: () => all.received,
    consumers: [credits],
  });
  const { place } = delivery;
  await place.ask(createTargetTables);
  const source = { brokerUrl: broker.url, topic, group, partitions, sessionTimeoutMs: 6_000 };
  const options: ConsumerProgramOptions = { url: place.url, ...source, handlerMs: 0, tellsAll: true, ...rest };
  const told: ChildEvent[] = [];
  let deaths = 0;
  const seat = createSeat({
    name: "consumer",
    command: () => ({ program: ownPrograms.consumer, args: [JSON.stringify(options)], nodeArgs }),
    onEvent: (event) => told.push(event),
    isMeant: ({ signal }) => {
      if (signal === "SIGKILL") deaths += 1;
      return signal === "SIGKILL";
    },
    onCrash: (how, output) => rig.demand(`${how}: ${output.slice(-500)}`, false),
  });
  rig.defer(() => seat.close());
  // Queues first: what is published before they are there reaches nobody.
  await seat.start();
  await waitUntil(() => rig.signal.aborted || told.some(({ name }) => name === "source.joined"), {
    what: "the consumer takes messages",
    deadlineMs: 60_000,
  });
  return {
    delivery,
    tapped,
    seat,
    told,
    get deaths() {
      return deaths;
    },
    rowOf: (account, filler) => ({
      topic,
      key: `account-${account}`,
      type: "bank.transferred.v1",
      payload: JSON.stringify({ account, cents: 1, filler }),
    }),
    credited: () => place.ask(async (session) => Number((await session.run("select count(*) as count from credit"))[0]?.["count"])),
    async end() {
      await waitUntil(async () => rig.signal.aborted || (await tapped.waiting()) === 0, { what: "all is settled", deadlineMs: 60_000 });
      rig.demand("QS the consumer did not end when it was told", (await seat.end(30_000)) === 0);
      await delivery.isQuiet();
      await tapped.readToEnd();
      await delivery.end();
    },
  };
}
