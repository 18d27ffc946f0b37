import { chmodSync, existsSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { Client } from "pg";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { type StartedServer, startPostgres } from "../src/index.ts";

async function ask(url: string, sql: string): Promise<Record<string, unknown>[]> {
  const client = new Client({ connectionString: url, connectionTimeoutMillis: 10_000, query_timeout: 10_000 });
  await client.connect();
  try {
    return (await client.query(sql)).rows as Record<string, unknown>[];
  } finally {
    await client.end();
  }
}

const isAlive = (pid: number): boolean => {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
};

describe("a PostgreSQL of one's own", () => {
  let server: StartedServer;
  let dataFolder: string;

  beforeAll(async () => {
    server = await startPostgres({ settings: { max_prepared_transactions: "7" } });
    const [row] = await ask(server.url, "select current_setting('data_directory') as folder");
    dataFolder = String(row?.folder);
  });
  afterAll(() => server.stop());

  it("answers on a port below 32768 with the version it says and the settings it was given", async () => {
    expect(server.port).toBeLessThan(32_768);
    const [row] = await ask(
      server.url,
      "select current_setting('server_version') as version, current_setting('max_prepared_transactions') as prepared",
    );
    expect(row).toEqual({ version: server.version, prepared: "7" });
    expect(server.version).toMatch(/^18\./);
  });

  it("keeps what was committed when it is killed and started again", async () => {
    await ask(server.url, "create table kept (id int); insert into kept values (1)");
    await server.kill("SIGKILL");
    expect(server.pid()).toBeNull();
    await expect(ask(server.url, "select 1")).rejects.toThrow();
    await server.restart();
    expect(await ask(server.url, "select id from kept")).toEqual([{ id: 1 }]);
  });

  it("restarts while it runs, on the same port", async () => {
    const before = server.pid();
    await server.restart();
    expect(server.pid()).not.toBe(before);
    expect(await ask(server.url, "select 1 as one")).toEqual([{ one: 1 }]);
  });

  it("removes its folder when it stops, and stops once", async () => {
    const pid = server.pid() as number;
    expect(existsSync(dataFolder)).toBe(true);
    const first = server.stop();
    expect(server.stop()).toBe(first);
    await first;
    expect(isAlive(pid)).toBe(false);
    expect(existsSync(dataFolder)).toBe(false);
    await expect(server.restart()).rejects.toThrow("stopped");
  });
});

describe("a PostgreSQL that cannot start", () => {
  it("says what the server wrote, and leaves nothing behind", async () => {
    const folder = mkdtempSync("/tmp/waybill-test-");
    chmodSync(folder, 0o755);
    vi.stubEnv("TMPDIR", folder);
    try {
      await expect(startPostgres({ settings: { shared_buffers: "never" } })).rejects.toThrow(/shared_buffers/);
      expect(readdirSync(folder)).toEqual([]);
    } finally {
      vi.unstubAllEnvs();
      rmSync(folder, { recursive: true });
    }
  });

  it("says which version is missing", async () => {
    await expect(startPostgres({ version: 9 })).rejects.toThrow(/PostgreSQL 9 .* not installed/);
  });
});
