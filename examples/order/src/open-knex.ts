import type { Secret } from "@waybill/core";
import createKnex, { type Knex } from "knex";

/** knex for the application's own transactions, on PostgreSQL or on MySQL and MariaDB as the URL says. Nothing is connected yet. */
export function openKnex(databaseUrl: Secret): Knex {
  const url = databaseUrl.reveal();
  const pool = { min: 0, max: 8 };
  if (url.startsWith("postgres")) {
    return createKnex({
      client: "pg",
      connection: { connectionString: url, statement_timeout: 10_000, query_timeout: 15_000, application_name: "order" },
      pool,
      acquireConnectionTimeout: 5_000,
    });
  }
  return createKnex({
    client: "mysql2",
    connection: { uri: url.replace(/^mariadb:/, "mysql:"), connectTimeout: 5_000, supportBigNumbers: true } as Knex.MySql2ConnectionConfig,
    pool,
    acquireConnectionTimeout: 5_000,
  });
}
