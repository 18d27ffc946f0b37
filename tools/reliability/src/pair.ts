/** Which database and which broker a run is about. */
import type { BrokerName, DatabaseName, ServerChoice } from "@waybill/testing";

export interface Pair {
  readonly database: ServerChoice<DatabaseName>;
  readonly broker: ServerChoice<BrokerName>;
}

/** What a URL names: MariaDB and MySQL speak one dialect and are told apart by the server only. */
export const dialectOfChoice = (choice: ServerChoice<DatabaseName>): "postgres" | "mysql" => {
  if ("server" in choice) return choice.server === "postgres" ? "postgres" : "mysql";
  return choice.url.startsWith("postgres") ? "postgres" : "mysql";
};

export const brokerOfChoice = (choice: ServerChoice<BrokerName>): BrokerName => {
  if ("server" in choice) return choice.server;
  return choice.url.startsWith("kafka") ? "kafka" : "rabbitmq";
};

/** For people; a URL's password is nobody's business. */
export const nameOfPair = ({ database, broker }: Pair): string =>
  `${"server" in database ? database.server : `the ${dialectOfChoice(database)} given`} and ${"server" in broker ? broker.server : `the ${brokerOfChoice(broker)} given`}`;
