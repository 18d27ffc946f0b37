import { hasTurn, type TestDatabaseServer } from "@waybill/testing";

/**
 * For a slow case that hardly depends on the database. A run in CI has a PostgreSQL and one of the others: the case comes on one of the two, by its own turn.
 */
export function hasItsTurn(server: TestDatabaseServer, name: string): boolean {
  return hasTurn(`half-message ${name}`, server.dialect === "postgres" ? 0 : 1, 2);
}
