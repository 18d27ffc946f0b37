/**
 * A service that places orders and is killed while it does: before, during or after a given statement of its last transaction.
 * One argument: `WriterOptions` as JSON. What appends is wrapped – the `Tx`, the driver's connection, or those of knex – and
 * everything that goes through it can be the end.
 *
 *     begin ─▶ business rows ─▶ lock of the key ─▶ (claim ─▶) append ─▶ commit          each: before it is sent · sent · answered
 */
import { createJournal, digest } from "@waybill/auditor";
import { catalogue, type Message, message } from "@waybill/core";
import { append } from "@waybill/outbox";
import type { SqlValue, TransactionHandle, Tx } from "@waybill/sql";
import { tellParent } from "@waybill/testing";
import knexFactory from "knex";
import mysql from "mysql2/promise";
import pg from "pg";

/** `claim`: of an id of its own, on MySQL a statement by itself. */
export type Statement = "begin" | "business" | "lock" | "claim" | "append" | "commit";
/** `sent`: it is in the hands of the system, and nobody reads the answer. */
export type Moment = "before" | "sent" | "after";

/** An order has two messages, each with a business row of its own; they are told apart by these references. */
export interface PlacedOrder {
  readonly refs: readonly [string, string];
  readonly end: "commit" | "rollback";
}

export interface WriterOptions {
  readonly url: string;
  readonly journal: string;
  /** What is passed to `append`: a `Tx` of its own making, the driver's connection, or knex's transaction. */
  readonly handle: "tx" | "driver" | "knex";
  /** The first message of an order has its reference as an id of its own; else its id is made by `append`. */
  readonly isOwnId: boolean;
  readonly orders: readonly PlacedOrder[];
  /** In the last order's transaction. */
  readonly kill: { readonly statement: Statement; readonly moment: Moment };
}

const { url, journal: journalFile, handle, isOwnId, orders, kill } = JSON.parse(process.argv[2] ?? "{}") as WriterOptions;
const applicationName = "waybill-test-writer";
const isPostgres = url.startsWith("postgres");

const shop = catalogue({
  source: "/crash-test",
  placed: message<{ readonly order: string; readonly ref: string }>({
    type: "test.placed.v1",
    topic: "orders",
    key: ({ order }) => order,
  }),
});

let isLast = false;
function point(statement: Statement | null, moment: Moment): void {
  if (!isLast || statement === null) return;
  tellParent({ name: "point", statement, moment });
  if (statement === kill.statement && moment === kill.moment) process.kill(process.pid, "SIGKILL");
}

function statementOf(sql: string): Statement | null {
  if (/^begin/i.test(sql)) return "begin";
  if (/^commit/i.test(sql)) return "commit";
  if (sql.includes("pg_advisory_xact_lock") || sql.includes("waybill_key_lock")) return "lock";
  if (!isPostgres && sql.includes("waybill_outbox_id")) return "claim";
  if (sql.includes("waybill_outbox")) return "append";
  return sql.includes("business") ? "business" : null;
}

type Row = Record<string, unknown>;
type Callback = (error: unknown, ...answer: unknown[]) => void;

/** Puts a point around every statement that goes through these methods, whether its caller waits for a promise or a callback. */
function wrap<C extends object>(client: C, ...methods: readonly string[]): C {
  const own = client as Record<string, (...args: unknown[]) => unknown>;
  for (const method of methods) {
    const send = (own[method] as (...args: unknown[]) => unknown).bind(client);
    own[method] = (...args: unknown[]): unknown => {
      const [first] = args as [string | { readonly text?: string; readonly sql?: string }];
      const statement = statementOf(typeof first === "string" ? first : (first.text ?? first.sql ?? ""));
      const callback = args.at(-1) as Callback;
      point(statement, "before");
      if (typeof callback === "function") {
        args[args.length - 1] = (error: unknown, ...answer: unknown[]) => {
          point(statement, "after");
          callback(error, ...answer);
        };
      }
      const answered = send(...args);
      point(statement, "sent");
      if (!(answered instanceof Promise)) return answered;
      return answered.then((answer: unknown) => {
        point(statement, "after");
        return answer;
      });
    };
  }
  return client;
}

const wrapPg = (client: pg.Client): pg.Client => wrap(client, "query");
/** All forms of a mysql2 connection end in the one with callbacks. */
const wrapMysql = <C extends object>(core: C): C => wrap(core, "query", "execute");

const journal = createJournal(journalFile);
/** The journal names messages by their references: the ids that `append` makes are not known before. */
function note(step: "intended" | "committed" | "rolledBack", order: PlacedOrder, made: readonly Message[]): void {
  for (const [index, { topic, key, payload }] of made.entries()) {
    const messageId = order.refs[index] as string;
    journal.write({ step, messageId, topic, key, ...(step === "intended" ? { payloadDigest: digest(payload) } : {}) });
  }
}

const messagesOf = ({ refs: [first, second] }: PlacedOrder): readonly Message[] => [
  shop.placed({ order: first, ref: first }, isOwnId ? { id: first } : {}),
  shop.placed({ order: first, ref: second }),
];

const options = { serialiseKey: true } as const;
const takenBack = new Error("taken back on purpose");

/** Places an order in a transaction of its own, and reports the ids of its messages as soon as they are appended. */
async function openPlacing(): Promise<(order: PlacedOrder, made: readonly Message[]) => Promise<void>> {
  const appended = (ids: readonly string[]): void => tellParent({ name: "appended", ids });
  if (handle === "knex") {
    const knex = knexFactory({
      client: isPostgres ? "pg" : "mysql2",
      connection: isPostgres ? { connectionString: url, application_name: applicationName } : url,
      pool: {
        min: 0,
        max: 1,
        afterCreate: (client: object, done: (error: null, client: object) => void) =>
          done(null, isPostgres ? wrapPg(client as pg.Client) : wrapMysql(client)),
      },
    });
    return async (order, made) => {
      const placing = knex.transaction(async (trx) => {
        await trx("business").insert(order.refs.map((ref) => ({ ref })));
        appended(await append(trx, made, options));
        if (order.end === "rollback") throw takenBack;
      });
      await placing.catch((error: unknown) => {
        if (error !== takenBack) throw error;
      });
    };
  }
  const { connection, tx, run } = isPostgres ? await openPostgres() : await openMysql();
  return async (order, made) => {
    await run("begin");
    await run(`insert into business (ref) values ('${order.refs[0]}'), ('${order.refs[1]}')`);
    appended(await append(handle === "driver" ? connection : tx, made, options));
    await run(order.end);
  };
}

interface OpenConnection {
  readonly connection: TransactionHandle;
  readonly tx: Tx;
  run(sql: string): Promise<unknown>;
}

async function openPostgres(): Promise<OpenConnection> {
  const client = wrapPg(new pg.Client({ connectionString: url, application_name: applicationName }));
  await client.connect();
  const tx: Tx = { dialect: "postgres", query: async (sql, values) => (await client.query<Row>(sql, [...values])).rows };
  return { connection: client, tx, run: (sql) => client.query(sql) };
}

async function openMysql(): Promise<OpenConnection> {
  const connection = await mysql.createConnection(url);
  wrapMysql((connection as unknown as { readonly connection: object }).connection);
  const query = async (sql: string, values: readonly SqlValue[]): Promise<readonly Row[]> => {
    const [rows] = await connection.query(sql, [...values]);
    return Array.isArray(rows) ? (rows as Row[]) : [];
  };
  return { connection, tx: { dialect: "mysql", query }, run: (sql) => connection.query(sql) };
}

const place = await openPlacing();
for (const [index, order] of orders.entries()) {
  isLast = index === orders.length - 1;
  const made = messagesOf(order);
  note("intended", order, made);
  await place(order, made);
  note(order.end === "commit" ? "committed" : "rolledBack", order, made);
}
tellParent({ name: "survived" });
process.exit(1);
