import { once } from "node:events";
import { createRequire } from "node:module";
import { type AddressInfo, connect, createServer, type Server } from "node:net";
import { dirname, join } from "node:path";
import { forEachDatabase, type TestDatabase, testDatabase } from "@waybill/testing";
import pg from "pg";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Connection, openDatabase, type RowFields } from "../src/index.ts";

/** What the server says when it waits for a statement outside a transaction. */
const readyForQuery = Buffer.from([0x5a, 0, 0, 0, 5, 0x49]);

/** A notice, which a server may send whenever it likes. */
function notice(): Buffer {
  const body = Buffer.from("SNOTICE\0VNOTICE\0C00000\0Mcut\0\0");
  const length = Buffer.alloc(4);
  length.writeUInt32BE(4 + body.length);
  return Buffer.concat([Buffer.from("N"), length, body]);
}

/** Behind each answer that is over the beginning of a notice, and its rest before the next one. */
function noticesInPieces(headBytes: number): (chunk: Buffer) => Buffer {
  let rest = Buffer.alloc(0);
  return (chunk) => {
    const isOver = chunk.subarray(-readyForQuery.length).equals(readyForQuery);
    const bytes = Buffer.concat([rest, chunk, ...(isOver ? [notice().subarray(0, headBytes)] : [])]);
    rest = isOver ? Buffer.from(notice().subarray(headBytes)) : Buffer.alloc(0);
    return bytes;
  };
}

/** Passes on what a client says, and what the server answers as `changed` makes it. */
async function between(target: URL, changed: () => (chunk: Buffer) => Buffer): Promise<Server> {
  const server = createServer((client) => {
    const upstream = connect({ host: target.hostname, port: Number(target.port) });
    const change = changed();
    client.pipe(upstream);
    upstream.on("data", (chunk) => client.write(change(chunk)));
    client.on("error", () => upstream.destroy());
    upstream.on("error", () => client.destroy());
    upstream.on("end", () => client.end());
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return server;
}

/** Until what it answers is called, the drivers are not as our reader expects them. */
function otherDrivers(): () => void {
  const connection = pg.Connection.prototype as unknown as { attachListeners(stream: NodeJS.ReadableStream): void };
  const require = createRequire(import.meta.url);
  const command = join(dirname(require.resolve("mysql2")), "lib", "commands", "query.js"); // it exports no such path
  const query = (require(command) as { readonly prototype: MysqlQuery }).prototype;
  const { attachListeners } = connection;
  const { fieldsEOF } = query;
  connection.attachListeners = function (stream) {
    attachListeners.call(this, stream);
    stream.on("data", () => undefined); // somebody else listens, too
  };
  query.fieldsEOF = function (...given) {
    fieldsEOF.apply(this, given);
    return query.row; // whatever stands in its place
  };
  return () => {
    connection.attachListeners = attachListeners;
    query.fieldsEOF = fieldsEOF;
  };
}
interface MysqlQuery {
  readonly row: unknown;
  fieldsEOF(...given: unknown[]): unknown;
}

await forEachDatabase((server) =>
  test(`${server.name}: rows are the same where the driver is not as expected, and makes them itself`, async () => {
    const own = await testDatabase({ server: server.name });
    const rowsOf = async (): Promise<{
      readonly rows: readonly unknown[];
      readonly areMadeByDriver: boolean;
      readonly isBinary: boolean;
    }> => {
      const database = openDatabase({ url: own.url, connections: 1, applicationName: "other" });
      const connection = await database.connect({ purpose: "test" });
      const bytes = server.dialect === "postgres" ? "'\\x00ff0a'::bytea" : "x'00ff0a'";
      const first = `select 1 as n, 'grüße 🎈' as t, cast(null as char(1)) as nothing, '' as none, ${bytes} as b`;
      let areMadeByDriver = true;
      const int4 = (fields: RowFields): number => fields.bytes.readInt32BE(fields.starts[0] ?? 0);
      const read = (fields: RowFields): readonly unknown[] => {
        // Then there is nothing beside the columns.
        const lengths = fields.ends.map((end, column) => Math.max(0, end - (fields.starts[column] ?? 0)));
        areMadeByDriver &&= fields.bytes.length === lengths.reduce((sum, one) => sum + one, 0);
        return [fields.bigint(0), fields.text(1), fields.text(2), fields.text(3), Buffer.from(fields.copy(4) ?? []).toString("latin1")];
      };
      try {
        if (connection.hasBinaryRows) {
          expect(await connection.readRows("select $1::int", [258], int4, { isBinary: true })).toEqual([258]);
          expect(await connection.readRows("select $1::int", [258], int4, { isBinary: true, name: "binary" })).toEqual([258]);
        } else await expect(connection.readRows("select ?", [258], int4, { isBinary: true })).rejects.toThrow("Binary rows");
        await expect(connection.readRows("select 258", [], int4, { isBinary: true })).rejects.toThrow("Binary rows");
        const rows = await connection.readRows(`${first} union all select 9007199254740993, 'b', 'c', 'd', null order by n`, [], read);
        return { rows, areMadeByDriver, isBinary: connection.hasBinaryRows };
      } finally {
        await database.close({ deadlineMs: 1_000 });
      }
    };
    const inHand = server.dialect === "postgres" ? "\\x00ff0a" : "\0\xff\n";
    const rows = [
      [1n, "grüße 🎈", null, "", inHand],
      [9_007_199_254_740_993n, "b", "c", "d", ""],
    ];
    const restore = otherDrivers();
    expect(await rowsOf().finally(restore)).toEqual({ rows, areMadeByDriver: true, isBinary: false });
    expect(await rowsOf()).toEqual({ rows, areMadeByDriver: false, isBinary: server.dialect === "postgres" });
    await own.drop();
  }),
);

await forEachDatabase((server) =>
  describe.runIf(server.dialect === "postgres")(server.name, () => {
    let own: TestDatabase;
    beforeAll(async () => {
      own = await testDatabase({ server: server.name });
    });
    afterAll(() => own.drop());

    const through = async (changed: () => (chunk: Buffer) => Buffer, run: (connection: Connection) => Promise<void>): Promise<void> => {
      const url = new URL(own.url);
      const proxy = await between(new URL(own.url), changed);
      url.host = `127.0.0.1:${(proxy.address() as AddressInfo).port}`;
      const database = openDatabase({ url: url.href, connections: 1, applicationName: "changed" });
      try {
        await run(await database.connect({ purpose: "test" }));
      } finally {
        await database.close({ deadlineMs: 1_000 });
        proxy.close();
      }
    };
    const read = (connection: Connection) =>
      connection.readRows("select n from generate_series(1, 3) n", [], (fields) => fields.integer(0));

    test.each([1, 4, 5, 12])("rows are all read, whatever of a notice has come when a session begins: %i bytes", async (headBytes) => {
      await through(
        () => noticesInPieces(headBytes),
        async (connection) => {
          expect(await read(connection)).toEqual([1, 2, 3]);
          expect(await read(connection)).toEqual([1, 2, 3]);
          await connection.close();
        },
      );
    });

    test("rows that the server counted and nobody saw are an error, and end the connection", async () => {
      const countOneMore = (chunk: Buffer): Buffer => Buffer.from(chunk.toString("latin1").replace("SELECT 3\0", "SELECT 4\0"), "latin1");
      await through(
        () => countOneMore,
        async (connection) => {
          await expect(read(connection)).rejects.toMatchObject({ code: "WAYBILL_DATABASE", cause: { code: "ROWS_MISSED" } });
          expect(connection.lost.aborted).toBe(true);
        },
      );
    });
  }),
);
