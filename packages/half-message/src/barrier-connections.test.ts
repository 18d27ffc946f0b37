import type { Connection, Database } from "@waybill/sql";
import { manualClock } from "@waybill/testing";
import { expect, test } from "vitest";
import { barrierConnections } from "./barrier-connections.ts";

const connection = { lost: new AbortController().signal, close: () => Promise.resolve() } as Connection;

test("a connection that opens after its first user has given up is used by the next one: there is never one too many", async () => {
  const clock = manualClock();
  const opening: ((connection: Connection) => void)[] = [];
  const database = { connect: () => new Promise((resolve) => opening.push(resolve)) } as unknown as Database;
  const connections = barrierConnections(database, 1, clock);
  const hasty = connections.use(50, () => Promise.resolve("used")).catch((error: Error) => (error as { code?: string }).code);
  await clock.advance(50);
  expect(await hasty).toBe("WAYBILL_DEADLINE");
  const patient = connections.use(1_000, () => Promise.resolve("used"));
  opening[0]?.(connection);
  expect(await patient).toBe("used");
  expect(opening).toHaveLength(1);
});

test("a connection that could not be opened is opened anew for the next one", async () => {
  let tries = 0;
  const database = {
    connect: () => {
      tries += 1;
      return tries === 1 ? Promise.reject(new Error("refused")) : Promise.resolve(connection);
    },
  } as unknown as Database;
  const connections = barrierConnections(database, 1, manualClock());
  await expect(connections.use(50, () => Promise.resolve("used"))).rejects.toThrow("refused");
  expect(await connections.use(50, () => Promise.resolve("used"))).toBe("used");
});
