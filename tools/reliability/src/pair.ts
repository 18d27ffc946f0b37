/** Which database and which broker a run is about. */

export const databaseNames = ["postgres", "mariadb", "mysql"] as const;
export const brokerNames = ["rabbitmq", "kafka"] as const;
export type DatabaseName = (typeof databaseNames)[number];
export type BrokerName = (typeof brokerNames)[number];

/** `server`: one of our own, which is killed, too. `url`: somebody's, on which names of our own are made and removed, and nothing is killed. */
export type Choice<Name> = { readonly server: Name } | { readonly url: string };

export interface Pair {
  readonly database: Choice<DatabaseName>;
  readonly broker: Choice<BrokerName>;
}

/** What a URL names: MariaDB and MySQL speak one dialect and are told apart by the server only. */
export const dialectOfChoice = (choice: Choice<DatabaseName>): "postgres" | "mysql" => {
  if ("server" in choice) return choice.server === "postgres" ? "postgres" : "mysql";
  return choice.url.startsWith("postgres") ? "postgres" : "mysql";
};

export const brokerOfChoice = (choice: Choice<BrokerName>): BrokerName => {
  if ("server" in choice) return choice.server;
  return choice.url.startsWith("kafka") ? "kafka" : "rabbitmq";
};

/** For people; a URL's password is nobody's business. */
export const nameOfPair = ({ database, broker }: Pair): string =>
  `${"server" in database ? database.server : `the ${dialectOfChoice(database)} given`} and ${"server" in broker ? broker.server : `the ${brokerOfChoice(broker)} given`}`;
