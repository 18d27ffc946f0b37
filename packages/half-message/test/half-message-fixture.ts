/** A service over a real database, called over HTTP as its producers call it. */
import { request as httpRequest } from "node:http";
import { type HttpCaller, secret, signRequest, systemClock, type WaybillEvent } from "@waybill/core";
import { type Database, migrateUp, type Namespace, namespace, openDatabase } from "@waybill/sql";
import { memoryTransport, type TestDatabaseServer, testDatabase, waitUntil } from "@waybill/testing";
import { type Alert, createHalfMessageService, type HalfMessageServiceOptions, halfMessageMigrations, type Scope } from "../src/index.ts";

export interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  // What a test expects of it is for the test to say.
  readonly body: Readonly<Record<string, unknown>>;
}

export interface CallOptions {
  /** The key's id. Default that of the producer. null: unsigned. */
  readonly key?: string | null;
  readonly at?: "public" | "admin";
  readonly headers?: Readonly<Record<string, string>>;
  readonly createdMs?: number;
  readonly nonce?: string;
  /** What is sent instead of what was signed. */
  readonly sent?: { readonly method?: string; readonly target?: string; readonly body?: string };
}

/** One running replica. */
export interface Replica {
  readonly ports: { readonly public: number; readonly admin: number };
  readonly events: readonly WaybillEvent[];
  readonly alerts: readonly Alert[];
  call(method: string, target: string, body?: unknown, options?: CallOptions): Promise<Answer>;
  prepare(id: string, changes?: Readonly<Record<string, unknown>>, producer?: string): Promise<Answer>;
  commit(id: string, body?: unknown, producer?: string): Promise<Answer>;
  rollback(id: string, producer?: string): Promise<Answer>;
  show(id: string, producer?: string): Promise<Answer>;
  operate(id: string, verb: string, reason?: string, producer?: string): Promise<Answer>;
  stop(): Promise<void>;
}

export interface HalfMessageFixture {
  readonly url: string;
  readonly database: Database;
  readonly space: Namespace;
  /** With `?`. */
  count(table: string, where?: string): Promise<number>;
  rows(sql: string): Promise<readonly Readonly<Record<string, unknown>>[]>;
  replica(options?: Partial<HalfMessageServiceOptions>): Promise<Replica>;
  close(): Promise<void>;
}

const producerScopes: readonly Scope[] = ["prepare", "decide", "check", "read"];
const adminScopes: readonly Scope[] = ["operate", "register", "reveal", "metrics"];

/** Key id → its secret. */
export const secrets = {
  "payments-1": "payments-payments-payments-payments",
  "orders-1": "orders-orders-orders-orders-orders-",
  "billing-1": "billing-billing-billing-billing-bil",
  "merchant-1": "merchant-merchant-merchant-merchant",
  "operator-1": "operator-operator-operator-operator",
} as const;

export const keys: HalfMessageServiceOptions["keys"] = [
  { id: "payments-1", secret: secret(secrets["payments-1"]), producer: "payments", scopes: producerScopes },
  { id: "orders-1", secret: secret(secrets["orders-1"]), producer: "orders", scopes: producerScopes },
  { id: "billing-1", secret: secret(secrets["billing-1"]), consumer: "billing", scopes: ["ack"] },
  { id: "merchant-1", secret: secret(secrets["merchant-1"]), receiver: "merchant", scopes: ["receive"] },
  { id: "operator-1", secret: secret(secrets["operator-1"]), scopes: adminScopes },
];

/** Reaches nobody: for what calls nobody. */
export const noHttp: HttpCaller = { call: () => Promise.resolve({ kind: "notSent", reason: "none" }) };

export function message(changes: Readonly<Record<string, unknown>> = {}): Readonly<Record<string, unknown>> {
  return { type: "shop.payment.taken.v1", topic: "payments", key: "order-17", payload: '{"orderId":"order-17"}', ...changes };
}

let nonces = 0;

export async function halfMessageFixture(server: TestDatabaseServer): Promise<HalfMessageFixture> {
  const place = await testDatabase({ server: server.name });
  const database = openDatabase({ url: place.url, connections: 10 });
  const space = namespace(database.dialect);
  await migrateUp(database, space, [halfMessageMigrations]);
  const replicas = new Set<Replica>();

  const replica = async (options: Partial<HalfMessageServiceOptions> = {}): Promise<Replica> => {
    const events: WaybillEvent[] = [];
    const alerts: Alert[] = [];
    const service = await createHalfMessageService({
      database,
      http: noHttp,
      listen: "127.0.0.1:0",
      admin: "127.0.0.1:0",
      keys,
      producers: { payments: { check: { via: "pull" } }, orders: { check: { via: "pull" } } },
      destinations: { kafka: { transport: memoryTransport() } },
      routes: { payments: ["kafka"] },
      durability: "relaxed",
      onEvent: (event) => events.push(event),
      onAlert: (alert) => alerts.push(alert),
      ...options,
    });
    const stop = new AbortController();
    const ran = service.run({ signal: stop.signal });
    const listening = (at: string) =>
      events.find((event) => event.name === "halfMessage.listening" && event.at === at) as { port: number } | undefined;
    const isAdmin = options.admin !== null;
    await Promise.race([
      ran,
      waitUntil(() => listening("public") !== undefined && (!isAdmin || listening("admin") !== undefined), { what: "the service listens" }),
    ]);
    const ports = { public: listening("public")?.port ?? 0, admin: listening("admin")?.port ?? 0 };
    const call: Replica["call"] = (method, target, body, more = {}) => callService(ports, method, target, body, more);
    const base = (id: string, producer: string): string => `/v1/producers/${producer}/half-messages/${id}`;
    const own = (producer: string): CallOptions => ({ key: `${producer}-1` });
    const running: Replica = {
      ports,
      events,
      alerts,
      call,
      prepare: (id, changes = {}, producer = "payments") =>
        call("PUT", base(id, producer), { barrier: null, messages: [message()], ...changes }, own(producer)),
      commit: (id, body = {}, producer = "payments") => call("POST", `${base(id, producer)}/commit`, body, own(producer)),
      rollback: (id, producer = "payments") => call("POST", `${base(id, producer)}/rollback`, {}, own(producer)),
      show: (id, producer = "payments") => call("GET", base(id, producer), undefined, own(producer)),
      operate: (id, verb, reason = "because a test says so", producer = "payments") =>
        call("POST", `/admin/v1/producers/${producer}/half-messages/${id}/${verb}`, { reason }, { key: "operator-1", at: "admin" }),
      async stop() {
        replicas.delete(running);
        stop.abort();
        await ran;
      },
    };
    replicas.add(running);
    return running;
  };

  return {
    url: place.url,
    database,
    space,
    replica,
    async count(table, where = "1 = 1") {
      const [row] = await database.query(`select count(*) as n from waybill_${table} where ${where}`, []);
      return Number(row?.n);
    },
    rows: (sql) => database.query(sql, []),
    async close() {
      await Promise.all([...replicas].map((each) => each.stop()));
      await database.close();
      await place.drop();
    },
  };
}

/** One signed call. */
export function callService(
  ports: { readonly public: number; readonly admin: number },
  method: string,
  target: string,
  body: unknown,
  { key = "payments-1", at = "public", headers = {}, createdMs = systemClock.wallMs(), nonce, sent = {} }: CallOptions = {},
): Promise<Answer> {
  const text = body === undefined ? "" : typeof body === "string" ? body : JSON.stringify(body);
  nonces += 1;
  const signed =
    key === null
      ? {}
      : signRequest(
          { id: key, secret: secret(secrets[key as keyof typeof secrets] ?? "unknown-unknown-unknown-unknown-unk") },
          { method, target, body: Buffer.from(text) },
          { createdMs, nonce: nonce ?? `nonce-of-the-tests-${nonces}-${process.pid}` },
        );
  const bytes = Buffer.from(sent.body ?? text);
  const type = bytes.length === 0 ? {} : { "content-type": "application/json" };
  return new Promise((resolve, reject) => {
    const request = httpRequest({
      host: "127.0.0.1",
      port: ports[at],
      method: sent.method ?? method,
      path: sent.target ?? target,
      headers: { ...type, "content-length": String(bytes.length), ...signed, ...headers },
    });
    request.on("response", (response) => {
      const chunks: Buffer[] = [];
      response.on("data", (chunk: Buffer) => chunks.push(chunk));
      response.on("error", reject);
      response.on("end", () => {
        const answer = Buffer.concat(chunks).toString("utf8");
        const isJson = /json/.test(response.headers["content-type"] ?? "");
        const parsed = isJson ? (JSON.parse(answer) as Record<string, unknown>) : { text: answer };
        resolve({ status: response.statusCode ?? 0, headers: response.headers, body: parsed });
      });
    });
    request.on("error", reject);
    request.end(bytes);
  });
}
