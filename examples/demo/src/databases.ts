import { provideServer, startPostgres, type TestDatabase, testDatabase } from "@waybill/testing";
import type { DatabaseChoice } from "./options.ts";
import { query } from "./query.ts";

export interface Databases {
  readonly orderUrl: string;
  readonly inventoryUrl: string;
  /** What they run on, in words. */
  readonly server: string;
  /** Removes them, and the server if it is ours. */
  remove(): Promise<void>;
}

interface Server {
  readonly url: string;
  readonly from: string;
  stop(): Promise<void>;
}

/** Two empty databases, one for each service. */
export async function createDatabases(choice: DatabaseChoice): Promise<Databases> {
  const { urls, server, remove } = await createDatabasesOn(choice, 2);
  const [orderUrl, inventoryUrl] = urls as [string, string];
  return { orderUrl, inventoryUrl, server, remove };
}

/** So many empty databases: on the given server, or on one that was here or is started and lives as long as they do. */
export async function createDatabasesOn(
  choice: DatabaseChoice,
  count: number,
): Promise<Pick<Databases, "server" | "remove"> & { readonly urls: readonly string[] }> {
  const server = await serverOf(choice);
  const made: TestDatabase[] = [];
  const remove = async (): Promise<void> => {
    await Promise.allSettled(made.map((database) => database.drop()));
    await server.stop();
  };
  try {
    while (made.length < count) made.push(await testDatabase({ url: server.url }));
    const urls = made.map(({ url }) => url);
    const [row] = await query<{ version: string }>(urls[0] ?? "", "select version() as version");
    return { urls, server: `${productOf(row?.version ?? "?")}, ${server.from}`, remove };
  } catch (error) {
    await remove();
    throw error;
  }
}

async function serverOf(choice: DatabaseChoice): Promise<Server> {
  if ("url" in choice) return { url: choice.url, from: "the server given", stop: async () => undefined };
  if (choice.server === "postgres") {
    const started = await startPostgres();
    return { url: started.url, from: "from npm's binaries", stop: () => started.stop() };
  }
  const provided = await provideServer({ kind: choice.server });
  if (provided.kind === "skipped" && choice.orElse !== undefined) {
    return serverOf({ server: choice.orElse }).then((other) => ({ ...other, from: `${other.from} (no ${choice.server} here)` }));
  }
  if (provided.kind === "skipped") throw new Error(`No ${choice.server} to run on: ${provided.reason}. ${provided.advice}`);
  return provided;
}

/** PostgreSQL says its whole name, the others only a version. */
function productOf(version: string): string {
  if (version.startsWith("PostgreSQL")) return version.split(" ", 2).join(" ");
  return version.includes("MariaDB") ? `MariaDB ${version.split("-", 1).join("")}` : `MySQL ${version}`;
}
