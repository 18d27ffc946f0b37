import { createConnection } from "mysql2/promise";
import { Client } from "pg";
import { describe, expect, it, vi } from "vitest";
import { forEachMysql, forEachPostgres, provideServer, testBroker, testDatabase, testServer, testServers } from "../src/index.ts";
import { serverKinds } from "../src/servers/server-kinds.ts";

/** MySQL's number for it. */
const unknownDatabase = 1049;

async function connected(url: string): Promise<Client> {
  const client = new Client({ connectionString: url, connectionTimeoutMillis: 10_000 });
  client.on("error", () => undefined);
  await client.connect();
  return client;
}

describe("the servers of a test run", () => {
  it("are PostgreSQL 18 from npm and, where there is one, a server that was here before", () => {
    expect(testServers().map(({ name }) => name)).toContain("postgres-embedded");
    expect(testServers().find(({ name }) => name === "postgres-embedded")?.version).toMatch(/^18\./);
  });
});

forEachPostgres((server) => {
  describe(`a test database on ${server.name}`, () => {
    it("is empty, speaks UTF-8, and is gone after drop although somebody is connected", async () => {
      const database = await testDatabase({ server: server.name });
      const client = await connected(database.url);
      const ended = new Promise((resolve) => client.once("end", resolve));
      const { rows } = await client.query("select current_database() as name, current_setting('server_encoding') as encoding");
      expect(rows).toEqual([{ name: database.name, encoding: "UTF8" }]);
      await Promise.all([database.drop(), database.drop()]);
      await ended;
      await expect(connected(database.url)).rejects.toMatchObject({ code: "3D000" });
    });

    it("is another one each time", async () => {
      const [one, two] = await Promise.all([testDatabase({ url: server.url }), testDatabase({ url: server.url })]);
      expect(one.name).not.toBe(two.name);
      await Promise.all([one.drop(), two.drop()]);
    });
  });
});

await forEachMysql((server) => {
  describe(`a test database on ${server.name}`, () => {
    it("is empty, compares text by its bytes, and is gone after drop although somebody holds a lock in it", async () => {
      const database = await testDatabase({ server: server.name });
      const connection = await createConnection({ uri: database.url, connectTimeout: 10_000 });
      const ended = new Promise((resolve) => connection.once("error", resolve));
      const [rows] = await connection.query(
        "select database() as name, @@character_set_database as charset, @@collation_database as collation",
      );
      expect(rows).toEqual([{ name: database.name, charset: "utf8mb4", collation: "utf8mb4_bin" }]);
      await connection.query("create table kept (id int) engine = innodb");
      await connection.beginTransaction();
      await connection.query("insert into kept values (1)");
      await Promise.all([database.drop(), database.drop()]);
      await ended;
      await expect(createConnection({ uri: database.url })).rejects.toMatchObject({ errno: unknownDatabase });
    });

    it("answers the version and the dialect that it says", async () => {
      const connection = await createConnection({ uri: server.url, connectTimeout: 10_000 });
      const [rows] = await connection.query("select version() as version");
      await connection.end();
      expect((rows as [{ version: string }])[0].version).toContain(server.version);
      expect(server.dialect).toBe("mysql");
    });
  });
});

describe("servers that start when they are asked for", () => {
  it("are the same one for everybody who asks", async () => {
    const [one, two] = await Promise.all([testServer("mariadb-local"), testServer("mariadb-local")]);
    expect(one).toEqual(two);
  });

  it("are null when they are optional and cannot be had, and tests on another version otherwise", async () => {
    const newer = await testBroker("rabbitmq-4");
    expect(newer === null || Number.parseInt(newer.version, 10) >= 4).toBe(true);
  });

  it.each(["rabbitmq", "kafka"] as const)("answer as a broker with a URL and a version, or say what is missing (%s)", async (name) => {
    const scheme = name === "kafka" ? "kafka" : "amqp";
    if ((await testServer(name)) === null) await expect(testBroker(name)).rejects.toThrow(/To test on it: /);
    else
      expect(await testBroker(name)).toEqual({ name, url: expect.stringMatching(`^${scheme}://`), version: expect.stringMatching(/\d/) });
  });
});

describe("providing a PostgreSQL", () => {
  it("is skipped with the reason of every provider that has none", async () => {
    const provided = await provideServer({ kind: "postgres", providers: ["compose"], composeFile: "/nowhere/docker-compose.yml" });
    expect(provided).toMatchObject({ kind: "skipped", name: "postgres", reason: "there is no /nowhere/docker-compose.yml here" });
  });

  it("takes the first provider that has one", async () => {
    const provided = await provideServer({
      kind: "postgres",
      name: "mine",
      providers: ["compose", "launcher"],
      composeFile: "/nowhere/docker-compose.yml",
    });
    if (provided.kind === "skipped") throw new Error(provided.reason);
    try {
      expect(provided).toMatchObject({ name: "mine", from: "started from npm's binaries" });
    } finally {
      await provided.stop();
    }
  });

  it("insists on a URL that somebody named, and on the kind of server behind it", async () => {
    vi.stubEnv("WAYBILL_TEST_MYSQL_URL", "mysql://root@127.0.0.1:1");
    try {
      await expect(provideServer({ kind: "mysql", providers: ["environment", "standardPort"] })).rejects.toThrow(
        /WAYBILL_TEST_MYSQL_URL.*does not answer/,
      );
      const mariadb = await testServer("mariadb-local");
      vi.stubEnv("WAYBILL_TEST_MYSQL_URL", mariadb?.url ?? "mysql://root@127.0.0.1:1");
      await expect(provideServer({ kind: "mysql", providers: ["environment"] })).rejects.toThrow(/it is a MariaDB|ECONNREFUSED/);
    } finally {
      vi.unstubAllEnvs();
    }
  });

  it.each(["postgres", "mariadb", "mariadb-11", "mysql", "rabbitmq", "rabbitmq-4", "kafka"] as const)(
    "says what to do for %s when no provider has one",
    async (kind) => {
      const broken = (): Promise<never> => Promise.reject(new Error("no programs"));
      vi.stubEnv(serverKinds[kind].variable, "");
      try {
        const provided = await provideServer({ kind, providers: ["environment", "launcher"], launch: broken });
        expect(provided).toMatchObject({ kind: "skipped", reason: `${serverKinds[kind].variable} is not set; no programs` });
        expect(provided.kind === "skipped" && provided.advice).toContain(serverKinds[kind].variable);
      } finally {
        vi.unstubAllEnvs();
      }
    },
  );

  it("refuses a server that does not exist", async () => {
    await expect(testDatabase({ server: "elsewhere" })).rejects.toThrow('no database server "elsewhere"');
  });
});
