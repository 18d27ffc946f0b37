import { isWaybillError } from "@waybill/core";
import { expect, test } from "vitest";
import { parseKafkaUrl } from "./connection-url.ts";

function problemsOf(url: string): readonly string[] {
  try {
    parseKafkaUrl(url);
  } catch (error) {
    if (!isWaybillError(error, "WAYBILL_CONFIG_INVALID")) throw error;
    expect(`${error.stack}${JSON.stringify(error.facts)}`).not.toContain("hush");
    return error.facts.problems.map(({ option }) => option);
  }
  return [];
}

test("hosts, ports and parameters are read", () => {
  const { connection, others } = parseKafkaUrl(
    "kafka://one:9093,two.example?ssl=true&client=platformatic&clientId=relay&partitioner=crc32",
    ["partitioner"],
  );
  expect(connection).toEqual({ brokers: ["one:9093", "two.example:9092"], ssl: true, client: "platformatic", clientId: "relay" });
  expect([...others]).toEqual([["partitioner", "crc32"]]);
});

test("user and password are decoded, and the password shows itself nowhere", () => {
  const { connection } = parseKafkaUrl("kafka://us%40er:p%3Aass%2Fhush@k:9092/?sasl=scram-sha-512");
  expect(connection.sasl).toMatchObject({ mechanism: "scram-sha-512", username: "us@er" });
  expect(JSON.stringify(connection)).not.toContain("hush");
  const { sasl } = connection;
  if (sasl === undefined || sasl.mechanism === "oauthbearer" || typeof sasl.password === "string") throw new Error("no secret");
  expect(sasl.password.reveal()).toBe("p:ass/hush");
});

test("a user without a mechanism is plain", () => {
  expect(parseKafkaUrl("kafka://u:p@k").connection.sasl).toMatchObject({ mechanism: "plain" });
});

test.each([
  ["http://k:9092", ["url"]],
  ["kafka://", ["url"]],
  ["kafka://u:hush@", ["url"]],
  ["kafka://k:0", ["brokers"]],
  ["kafka://[::1]:9092", ["brokers"]],
  ["kafka://k?ssl=yes", ["ssl"]],
  ["kafka://k?ssl=true&ssl=false", ["ssl"]],
  ["kafka://k?sasl=plain", ["sasl"]],
  ["kafka://u:hush@k?sasl=gssapi", ["sasl"]],
  ["kafka://u:hush%zz@k", ["url"]],
  ["kafka://u@k", ["sasl.password"]],
  ["kafka://k?client=other", ["client"]],
  ["kafka://k?hush=1", ["hush"]],
])("what is wrong with %s is told by its name", (url, options) => {
  if (url.includes("?hush")) expect(() => parseKafkaUrl(url)).toThrow(/not known/);
  else expect(problemsOf(url)).toEqual(options);
});
