import { kafkaKind } from "./kafka-kind.ts";
import { mariadb11Kind, mariadbKind, mysqlKind } from "./mysql-kind.ts";
import { postgresKind } from "./postgres-kind.ts";
import { rabbitmq4Kind, rabbitmqKind } from "./rabbitmq-kind.ts";
import type { ServerKind } from "./server-kind.ts";

export type ServerKindName = "postgres" | "mariadb" | "mariadb-11" | "mysql" | "rabbitmq" | "rabbitmq-4" | "kafka";

/** Every kind of server that a test run can have. */
export const serverKinds: Readonly<Record<ServerKindName, ServerKind>> = {
  postgres: postgresKind,
  mariadb: mariadbKind,
  "mariadb-11": mariadb11Kind,
  mysql: mysqlKind,
  rabbitmq: rabbitmqKind,
  "rabbitmq-4": rabbitmq4Kind,
  kafka: kafkaKind,
};
