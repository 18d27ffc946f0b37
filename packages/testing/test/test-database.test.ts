import { Client } from "pg";
import { describe, expect, it } from "vitest";
import { forEachPostgres, providePostgres, testDatabase, testServers } from "../src/index.ts";

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

describe("providing a PostgreSQL", () => {
  it("is skipped with the reason of every provider that has none", async () => {
    const provided = await providePostgres({ providers: ["compose"], composeFile: "/nowhere/docker-compose.yml" });
    expect(provided).toEqual({ kind: "skipped", name: "postgres", reason: "there is no /nowhere/docker-compose.yml here" });
  });

  it("takes the first provider that has one", async () => {
    const provided = await providePostgres({
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

  it("refuses a server that does not exist", async () => {
    await expect(testDatabase({ server: "elsewhere" })).rejects.toThrow('no PostgreSQL "elsewhere"');
  });
});
