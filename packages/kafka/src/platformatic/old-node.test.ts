import { isWaybillError } from "@waybill/core";
import { expect, test } from "vitest";
import { kafkaSource } from "../kafka-source.ts";
import { kafkaTransport } from "../kafka-transport.ts";
import { nodeProblem } from "./requirements.ts";

const connection = { brokers: ["127.0.0.1:1"], client: "platformatic" } as const;

/** What a call throws, as an operator meets it. */
function problemsOf(call: () => unknown): readonly string[] {
  try {
    call();
  } catch (error) {
    if (!isWaybillError(error, "WAYBILL_CONFIG_INVALID")) throw error;
    return error.facts.problems.map(({ option, problem }) => `${option} ${problem}`);
  }
  return [];
}

const isOld = nodeProblem(process.versions.node) !== null;

test.runIf(isOld)("on a Node that cannot run the library, transport and source say so when they are made", () => {
  for (const call of [() => kafkaTransport(connection), () => kafkaSource({ ...connection, groupId: "g", topics: ["orders"] })])
    expect(problemsOf(call)).toEqual([
      `client platformatic needs Node 22.22, 24.6 or newer, and this is ${process.versions.node}; client kafkajs does with it`,
    ]);
});

test.runIf(!isOld)("on a Node that can run the library, making a transport opens nothing", async () => {
  await kafkaTransport(connection).close({ deadlineMs: 1_000 });
});
