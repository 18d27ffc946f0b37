/** Runs a scenario on a pair it can be seen on. */
import type { BrokerName, DatabaseName, ServerChoice } from "@waybill/testing";
import type { Programs } from "./load.ts";
import type { Outcome } from "./outcome.ts";
import { brokerOfChoice, dialectOfChoice, nameOfPair, type Pair } from "./pair.ts";
import { runRig } from "./rig.ts";
import type { Scenario } from "./scenario.ts";
import type { ServerShelf } from "./servers.ts";

/** The chaos line, and which scenario it is of. */
export interface ScenarioOutcome extends Outcome {
  readonly scenario: string;
}

export interface ScenarioRun {
  readonly scenario: Scenario;
  readonly database: ServerChoice<DatabaseName> | null;
  readonly broker: ServerChoice<BrokerName> | null;
  readonly isFull: boolean;
  readonly seed: number;
  readonly shelf: ServerShelf;
  readonly say: (line: string) => void;
  readonly signal: AbortSignal;
  readonly programs?: Programs;
}

/** The pair asked for, or the first that the scenario can be seen on. Null: it cannot be seen on what was asked for. */
export function pairFor(
  { databases, brokers }: Pick<Scenario, "databases" | "brokers">,
  asked: Pick<ScenarioRun, "database" | "broker">,
): Pair | null {
  const database: ServerChoice<DatabaseName> = asked.database ?? { server: databases[0] ?? "postgres" };
  const broker: ServerChoice<BrokerName> = asked.broker ?? { server: brokers[0] ?? "rabbitmq" };
  const fitsDatabase =
    "server" in database
      ? databases.includes(database.server)
      : databases.some((name) => dialectOfChoice({ server: name }) === dialectOfChoice(database));
  const fitsBroker = brokers.length === 0 || brokers.includes(brokerOfChoice(broker));
  return fitsDatabase && fitsBroker ? { database, broker } : null;
}

export async function runScenario(run: ScenarioRun): Promise<ScenarioOutcome> {
  const { scenario, isFull, seed, shelf, say, signal, programs } = run;
  const pair = pairFor(scenario, run);
  if (pair === null)
    throw new Error(`${scenario.code} runs on ${scenario.databases.join(", ")} with ${scenario.brokers.join(", ")}. ${scenario.why ?? ""}`);
  say(`${scenario.code}, seed ${seed}, ${nameOfPair(pair)}, ${isFull ? "full" : "scaled"}: ${scenario.title}`);
  const servers = await shelf.take(pair, { needsBroker: scenario.brokers.length > 0 });
  const outcome = await runRig({ pair, servers, seed, say, signal, ...(programs === undefined ? {} : { programs }) }, (rig) =>
    scenario.play(rig, isFull ? scenario.full : scenario.scaled),
  );
  return { ...outcome, scenario: scenario.code };
}
