import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, afterEach, beforeAll, expect, test, vi } from "vitest";
import type { CommandDefinition } from "../command.ts";
import { readConfiguration } from "../configuration.ts";
import type { ExitCode } from "../exit-codes.ts";
import { deadLetterDiscard, deadLetterList, deadLetterRedrive, deadLetterShow } from "./dead-letter.ts";

vi.mock("../terminal.ts", async (original) => ({
  ...(await original<typeof import("../terminal.ts")>()),
  canAsk: () => true,
  confirm: () => Promise.resolve(true),
  printResult: () => undefined,
}));

/** Three are dead when they are counted; by the time it is decided more are. */
const service = createServer((request, response) => {
  let text = "";
  request.on("data", (chunk: Buffer) => (text += chunk.toString()));
  request.on("end", () => {
    const body = (text === "" ? {} : JSON.parse(text)) as { readonly dryRun?: boolean; readonly limit?: number };
    asked.push(body);
    const deliveries = body.dryRun === true ? 3 : body.limit;
    response.setHeader("content-type", "application/json").end(JSON.stringify({ deliveries, dryRun: body.dryRun === true }));
  });
});
let asked: object[] = [];
let flags: Record<string, string> = {};

beforeAll(async () => {
  await new Promise<void>((resolve) => service.listen(0, "127.0.0.1", resolve));
  const url = `http://127.0.0.1:${(service.address() as AddressInfo).port}`;
  flags = { service: url, keyId: "operator-1", keySecret: "operator-operator-operator-operator" };
});
afterEach(() => {
  asked = [];
});
afterAll(() => {
  service.closeAllConnections();
  service.close();
});

const run = async (command: CommandDefinition, given: Record<string, string>, environment = {}): Promise<ExitCode> => {
  const settings = command.settings;
  const names = new Set(settings.map(({ name }) => name));
  return command.run(readConfiguration({ settings, knownNames: names, flags: given, environment, readFile: () => "" }));
};

const named = { messageId: "only-this-one", origin: "relay", reader: "r" };
const filters = { ...named, topic: "payments", type: "t", key: "k", reason: "rejected", since: "2026-11-22T06:00:00Z" };
const decided = { destination: "billing", why: "bad message", yes: "true" };

test.each([
  ["list", deadLetterList, { ...filters, state: "held", database: "postgres://nobody@127.0.0.1:1/nowhere" }, {}],
  ["show", deadLetterShow, named, { delivery: "d" }],
  ["redrive", deadLetterRedrive, { ...filters, all: "true", who: "w", schema: "s" }, decided],
  ["discard", deadLetterDiscard, { ...filters, only: "dead", all: "true", who: "w", prefix: "p_" }, decided],
])("%s of a service's deliveries asks for nothing where a filter is given that it does not read", async (_, command, unread, read) => {
  await expect(run(command, { ...flags, ...read, ...unread })).rejects.toMatchObject({ code: "WAYBILL_CONFIG_INVALID" });
  expect(asked).toEqual([]);
  for (const [name, value] of Object.entries(unread)) {
    const one = run(command, { ...flags, ...read, [name]: value });
    await expect(one, name).rejects.toMatchObject({ facts: { problems: [{ problem: "is not read with --service" }] } });
  }
  expect(asked).toEqual([]);
});

test("a filter from the environment is complained of, too; a database that is there for other commands is not", async () => {
  const environment = { WAYBILL_DATABASE: "postgres://nobody@127.0.0.1:1/nowhere" };
  await expect(run(deadLetterDiscard, { ...flags, ...decided }, { ...environment, WAYBILL_TOPIC: "payments" })).rejects.toMatchObject({
    facts: { problems: [{ option: "WAYBILL_TOPIC" }] },
  });
  expect(await run(deadLetterDiscard, { ...flags, ...decided }, environment)).toBe(0);
  expect(asked).toMatchObject([{ destination: "billing", dryRun: false }]);
});

test.each([
  ["destination", "billing"],
  ["delivery", "d"],
])("%s without a service decides about no message of a ledger", async (name, value) => {
  const given = { database: "postgres://nobody@127.0.0.1:1/nowhere", all: "true", yes: "true", [name]: value };
  await expect(run(deadLetterDiscard, given)).rejects.toMatchObject({ facts: { problems: [{ problem: "is read with --service only" }] } });
});

test("no more is decided about than was counted and agreed to", async () => {
  expect(await run(deadLetterDiscard, { ...flags, destination: "billing", why: "bad message" })).toBe(0);
  expect(asked).toMatchObject([
    { dryRun: true, limit: 100 },
    { dryRun: false, limit: 3 },
  ]);
});
