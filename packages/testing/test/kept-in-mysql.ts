import { createConnection } from "mysql2/promise";

/** One statement on a connection of its own. */
export async function askMysql(url: string, sql: string): Promise<readonly unknown[]> {
  const connection = await createConnection({ uri: url, connectTimeout: 30_000 });
  connection.on("error", () => undefined); // the statement's own rejection tells
  try {
    const [rows] = await connection.query({ sql, timeout: 30_000 });
    return Array.isArray(rows) ? rows : [];
  } finally {
    connection.destroy();
  }
}

/** A committed row, for `describeLaunchedServer`. */
export const keptInMysql: {
  write(url: string): Promise<void>;
  read(url: string): Promise<unknown>;
  readonly kept: unknown;
} = {
  async write(url) {
    await askMysql(url, "create database kept");
    await askMysql(url, "create table kept.message (id int primary key) engine = innodb");
    await askMysql(url, "insert into kept.message values (1)");
  },
  read: (url) => askMysql(url, "select id from kept.message"),
  kept: [{ id: 1 }],
};
