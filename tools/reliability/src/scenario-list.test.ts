import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { pairFor } from "./run-scenario.ts";
import { scenarioOf, scenarios } from "./scenario-list.ts";

const readme = readFileSync(new URL("../README.md", import.meta.url), "utf8");

describe("the scenarios", () => {
  it("are listed by code, each once, and in the README by their titles", () => {
    const codes = scenarios.map(({ code }) => code);
    expect(codes).toEqual([...new Set(codes)].toSorted());
    const rows = [...readme.matchAll(/^\| (R\d\d) \| (.*) \|$/gm)].map(([, code, title]) => `${code} ${title}`);
    expect(rows).toEqual(scenarios.map(({ code, title }) => `${code} ${title}`));
    expect(scenarioOf("r64")?.code).toBe("R64");
    expect(scenarioOf("R99")).toBeUndefined();
  });

  it("have the same parameters in both forms", () => {
    for (const { code, scaled, full } of scenarios) expect(Object.keys(scaled).toSorted(), code).toEqual(Object.keys(full).toSorted());
  });

  it("run on what was asked for only where they can be seen there", () => {
    const one = { databases: ["mysql", "mariadb"], brokers: ["kafka"] } as const;
    expect(pairFor(one, { database: null, broker: null })).toEqual({ database: { server: "mysql" }, broker: { server: "kafka" } });
    expect(pairFor(one, { database: { server: "postgres" }, broker: null })).toBeNull();
    expect(pairFor(one, { database: { url: "mysql://h/d" }, broker: { url: "kafka://h:1" } })).not.toBeNull();
    expect(pairFor(one, { database: null, broker: { url: "amqp://h" } })).toBeNull();
    expect(pairFor({ ...one, brokers: [] }, { database: null, broker: { url: "amqp://h" } })).not.toBeNull();
  });
});
