import { readFileSync } from "node:fs";
import { newMessageId, secret } from "@waybill/core";
import { testServers } from "@waybill/testing";
import { afterAll, beforeAll, expect, test } from "vitest";
import { router } from "../src/api/router.ts";
import { allRoutes } from "./all-routes.ts";
import {
  type Answer,
  type CallOptions,
  type HalfMessageFixture,
  halfMessageFixture,
  message,
  type Replica,
} from "./half-message-fixture.ts";

interface Schema {
  readonly $ref?: string;
  readonly type?: string | readonly string[];
  readonly enum?: readonly unknown[];
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
  readonly additionalProperties?: boolean | Schema;
  readonly items?: Schema;
}

interface Operation {
  readonly "x-scope"?: string;
  readonly tags: readonly string[];
  readonly responses: Readonly<Record<string, { readonly content: Readonly<Record<string, { readonly schema: Schema }>> }>>;
}

const document = JSON.parse(readFileSync(new URL("../openapi.json", import.meta.url), "utf8")) as {
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
  readonly components: { readonly schemas: Readonly<Record<string, Schema>> };
};

/** What of a value is not as a schema says; empty: nothing. */
function mistakes(schema: Schema, value: unknown, at: string): readonly string[] {
  if (schema.$ref !== undefined) return mistakes(document.components.schemas[schema.$ref.split("/").at(-1) ?? ""] as Schema, value, at);
  if (schema.enum !== undefined) return schema.enum.includes(value) ? [] : [`${at} is none of ${JSON.stringify(schema.enum)}`];
  const types = typeof schema.type === "string" ? [schema.type] : (schema.type ?? []);
  const found = value === null ? "null" : Array.isArray(value) ? "array" : Number.isInteger(value) ? "integer" : typeof value;
  if (!types.includes(found)) return [`${at} is ${found}, not ${types.join(" or ")}`];
  if (found === "array") return (value as unknown[]).flatMap((each, index) => mistakes(schema.items ?? {}, each, `${at}[${index}]`));
  if (found !== "object") return [];
  const fields = value as Readonly<Record<string, unknown>>;
  const missing = (schema.required ?? []).filter((name) => !Object.hasOwn(fields, name)).map((name) => `${at}.${name} is missing`);
  const others = Object.entries(fields).flatMap(([name, each]) => {
    const known = schema.properties?.[name];
    if (known !== undefined) return mistakes(known, each, `${at}.${name}`);
    return schema.additionalProperties === false ? [`${at}.${name} is not described`] : [];
  });
  return [...missing, ...others];
}

let fixture: HalfMessageFixture;
let replica: Replica;
beforeAll(async () => {
  const [server] = testServers();
  if (server === undefined) throw new Error("There is no PostgreSQL to test on.");
  fixture = await halfMessageFixture({ ...server, dialect: "postgres" });
  replica = await fixture.replica({ receiverMasterSecret: secret("master-master-master-master-master-") });
});
afterAll(() => fixture.close());

test("the document describes the routes that there are, with their ports and scopes, and no others", () => {
  const described = Object.entries(document.paths).flatMap(([path, operations]) =>
    Object.entries(operations).map(([method, { tags, "x-scope": scope }]) => `${tags[0]} ${method.toUpperCase()} ${path} ${scope ?? "-"}`),
  );
  const there = allRoutes.map(({ port, method, path, scope }) => {
    return `${port} ${method} ${path} ${scope ?? (path.endsWith(":batch") ? "each operation's" : "-")}`;
  });
  expect(described.sort()).toEqual(there.sort());
});

test("what the running service answers is as the document says", async () => {
  const match = router(allRoutes);
  const seen = new Set<string>();
  const call = async (method: string, target: string, body?: unknown, options: CallOptions = {}): Promise<Answer> => {
    const answer = await replica.call(method, target, body, options);
    const matched = match(method, target.split("?")[0] ?? "");
    if (matched.kind !== "found") throw new Error(`There is no ${method} ${target}.`);
    const { path } = matched.route;
    const operation = document.paths[path]?.[method.toLowerCase()] as Operation;
    const response = operation.responses[String(answer.status)] ?? operation.responses["default"];
    const type = String(answer.headers["content-type"]).split(";")[0] ?? "";
    const described = response?.content[type];
    expect(described, `${method} ${path} ${answer.status} ${type}`).toBeDefined();
    if (type !== "text/plain") expect(mistakes(described?.schema ?? {}, answer.body, `${method} ${path} ${answer.status}`)).toEqual([]);
    seen.add(`${method} ${path}`);
    return answer;
  };
  const base = "/v1/producers/payments/half-messages";
  const [id, other] = [newMessageId(), newMessageId()];
  const receivers = "/admin/v1/receivers";
  const halfMessage = { barrier: null, messages: [message({ receivers: ["merchant"] })] };
  const operator: CallOptions = { key: "operator-1", at: "admin" };
  const reason = { reason: "because a test says so" };
  await call("PUT", `${receivers}/merchant`, { url: "https://merchant.example/hooks", ...reason }, operator);
  await call("PUT", `${receivers}/merchant`, { url: "https://merchant.example/other", ...reason }, operator);
  await call("PUT", `${base}/${id}`, halfMessage);
  await call("PUT", `${base}/${id}`, halfMessage);
  await call("PUT", `${base}/${id}`, {});
  await call("POST", `${base}/${id}/extend`, { forMs: 1_000 });
  await call("GET", `${base}/${id}`);
  await call("POST", `/admin/v1/producers/payments/half-messages/${id}/check-now`, reason, operator);
  const claimed = await call("POST", "/v1/producers/payments/checks:claim", { max: 10, waitMs: 0 });
  const [check] = claimed.body.checks as readonly { readonly id: string; readonly token: string }[];
  expect(check?.id).toBe(id);
  const answers = [{ id, token: check?.token, barrier: null, decision: "pending" }];
  await call("POST", "/v1/producers/payments/checks:answer", { answers });
  await call("POST", "/v1/producers/payments/checks:answer", { answers });
  await call("POST", `/admin/v1/producers/payments/half-messages/${id}/resume`, reason, operator);
  await call("POST", `${base}/${id}/commit`, {});
  await call("POST", `${base}/${id}/rollback`, {});
  await call("POST", `${base}/${other}/commit`, { halfMessage });
  await call("POST", `/admin/v1/producers/payments/half-messages/${id}/force-commit`, reason, operator);
  await call("POST", `/admin/v1/producers/payments/half-messages/${id}/force-rollback`, reason, operator);
  await call("POST", `${base}:batch`, {
    operations: [
      { op: "rollback", id: "never" },
      { op: "commit", id: "nowhere" },
    ],
  });
  const { body: shown } = await call("GET", `${base}/${id}`);
  await call("GET", `${base}?limit=2`);
  const { deliveryId } = (shown.deliveries as readonly { readonly deliveryId: string }[])[0] ?? { deliveryId: "" };
  for (const [verb, body] of [
    ["ack", {}],
    ["nack", { attempt: 1 }],
    ["extend", { forMs: 1_000 }],
  ] as const) {
    await call("POST", `/v1/consumers/billing/deliveries/${deliveryId}/${verb}`, body, { key: "billing-1" });
  }
  await call("POST", "/v1/consumers/billing/deliveries:ack", { deliveryIds: [deliveryId] }, { key: "billing-1" });
  await call("GET", `/admin/v1/producers/payments/half-messages/${id}`, undefined, operator);
  await call("GET", `/admin/v1/producers/payments/half-messages/${id}/payloads/0`, undefined, operator);
  await call("GET", "/admin/v1/half-messages?state=committed", undefined, operator);
  await call("GET", "/admin/v1/deliveries", undefined, operator);
  await call("GET", `/admin/v1/deliveries/${deliveryId}`, undefined, operator);
  for (const verb of ["redrive", "give-up", "discard", "force-ack"])
    await call("POST", `/admin/v1/deliveries/${deliveryId}/${verb}`, reason, operator);
  for (const verb of ["redrive", "discard"])
    await call("POST", `/admin/v1/deliveries:${verb}`, { destination: "kafka", dryRun: true, ...reason }, operator);
  const notifications = "/v1/receivers/merchant/notifications";
  const { body: page } = await call("GET", notifications, undefined, { key: "merchant-1" });
  const [first] = page.items as readonly { readonly notificationId: string }[];
  await call("GET", `${notifications}/${first?.notificationId}?payload=1`, undefined, { key: "merchant-1" });
  for (const verb of ["disable", "enable", "rotate"]) await call("POST", `${receivers}/merchant/${verb}`, reason, operator);
  for (const target of [receivers, `${receivers}/merchant`, `${receivers}/merchant/secret`]) await call("GET", target, undefined, operator);
  await call("DELETE", `${receivers}/merchant`, reason, operator);
  for (const target of ["/livez", "/readyz", "/metrics"]) await call("GET", target, undefined, operator);
  expect([...seen].sort()).toEqual(allRoutes.map(({ method, path }) => `${method} ${path}`).sort());
});
