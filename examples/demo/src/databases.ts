import { randomBytes } from "node:crypto";
import { startPostgres } from "@waybill/testing";
import { query } from "./query.ts";

export interface Databases {
  readonly orderUrl: string;
  readonly inventoryUrl: string;
  /** What they run on, in words. */
  readonly server: string;
  /** Removes them, and the server if it is ours. */
  remove(): Promise<void>;
}

/** Two empty databases: on the given server, or on one from npm's binaries that lives as long as they do. */
export async function createDatabases(serverUrl: string | null): Promise<Databases> {
  const server = serverUrl === null ? await startPostgres() : null;
  const url = server?.url ?? serverUrl ?? "";
  const names: string[] = [];
  const create = async (service: string): Promise<string> => {
    const name = `waybill_demo_${service}_${randomBytes(4).toString("hex")}`;
    await query(url, `create database ${name} template template0 encoding 'UTF8'`);
    names.push(name);
    const made = new URL(url);
    made.pathname = `/${name}`;
    return made.href;
  };
  const remove = async (): Promise<void> => {
    if (server !== null) return await server.stop();
    for (const name of names) await query(url, `drop database if exists ${name} with (force)`);
  };
  try {
    const orderUrl = await create("order");
    const inventoryUrl = await create("inventory");
    const [row] = await query<{ server_version: string }>(url, "show server_version");
    const from = server === null ? "the server given" : "from npm's binaries";
    return { orderUrl, inventoryUrl, server: `PostgreSQL ${row?.server_version ?? "?"}, ${from}`, remove };
  } catch (error) {
    await remove();
    throw error;
  }
}
