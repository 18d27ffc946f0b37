import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { parse } from "yaml";
import { type ServerKindName, serverKinds } from "./server-kinds.ts";

interface Service {
  readonly image: string;
  readonly environment: Readonly<Record<string, string>>;
  readonly ports: readonly string[];
  readonly tmpfs: readonly string[];
  readonly healthcheck: { readonly test: readonly string[]; readonly interval: string; readonly timeout: string; readonly retries: number };
}

const text = readFileSync(fileURLToPath(new URL("../../../../docker-compose.yml", import.meta.url)), "utf8");
const { services } = parse(text) as { services: Record<string, Service> };

/** Where the file's own header, and the READMEs, say that clients find each service. */
const urls: Readonly<Record<string, string>> = {
  postgres: "postgres://postgres:waybill@127.0.0.1:55432/waybill",
  mysql: "mysql://root:waybill@127.0.0.1:53306/waybill",
  mariadb: "mariadb://root:waybill@127.0.0.1:53307/waybill",
  rabbitmq: "amqp://waybill:waybill@127.0.0.1:55672",
  kafka: "kafka://127.0.0.1:59092",
};

/** Which database each of them makes at its start. */
const databaseVariables: Readonly<Record<string, string>> = {
  postgres: "POSTGRES_DB",
  mysql: "MYSQL_DATABASE",
  mariadb: "MARIADB_DATABASE",
};

describe("docker-compose.yml", () => {
  it("has the services that a run can ask for, and no other", () => {
    expect(Object.keys(services).sort()).toEqual(Object.keys(urls).sort());
    const asked = Object.values(serverKinds).map(({ compose }) => compose.name);
    expect([...new Set(asked)].sort()).toEqual(Object.keys(services).sort());
  });

  it.each(Object.keys(urls))("tells the URL of %s in its header", (name) => {
    const header = text.split("\n").filter((line) => line.startsWith("#"));
    expect(header.join("\n")).toContain(urls[name]);
  });

  describe.each(Object.entries(services))("%s", (name, service) => {
    const standardPorts: Readonly<Record<string, number>> = { postgres: 5432, mysql: 3306, mariadb: 3306, rabbitmq: 5672, kafka: 9092 };

    it("is pinned to a release at least down to its minor version", () => {
      expect(service.image).toMatch(/^[a-z]+(\/[a-z]+)?:\d+\.\d+(\.\d+)?(-management)?$/);
    });

    it("is published on the loopback only, beside the standard port", () => {
      for (const port of service.ports) {
        expect(port).toMatch(/^127\.0\.0\.1:\d+:\d+$/);
        expect(port.split(":")[1]).not.toBe(String(standardPorts[name]));
      }
    });

    it("is reached at the URL that we tell, with the credentials that it is given", () => {
      const url = new URL(urls[name] ?? "");
      for (const kind of kindsOf(name)) {
        const { compose } = serverKinds[kind];
        const published = service.ports.find((port) => port.endsWith(`:${compose.port}`)) ?? "";
        const address = published.slice(0, published.lastIndexOf(":"));
        const provided = new URL(compose.url(address, service.environment));
        expect([provided.host, provided.username, provided.password]).toEqual([url.host, url.username, url.password]);
      }
      const variable = databaseVariables[name];
      if (variable !== undefined) expect(url.pathname).toBe(`/${service.environment[variable]}`);
    });

    it("keeps its data in memory, and says when it is ready", () => {
      expect(service.tmpfs.length).toBeGreaterThan(0);
      const { test, interval, timeout, retries } = service.healthcheck;
      expect(test[0]).toMatch(/^CMD(-SHELL)?$/);
      expect(test.length).toBeGreaterThan(1);
      expect([interval, timeout]).toEqual([expect.stringMatching(/^\d+s$/), expect.stringMatching(/^\d+s$/)]);
      expect(Number.parseInt(interval, 10) * retries).toBeGreaterThanOrEqual(60);
    });
  });

  it("sends Kafka's clients back to where they came from", () => {
    const { ports, environment } = services.kafka as Service;
    const [, outside, inside] = ports[0]?.split(":") ?? [];
    expect(outside).toBe(inside);
    expect(environment.KAFKA_ADVERTISED_LISTENERS).toContain(`PLAINTEXT_HOST://127.0.0.1:${outside}`);
    expect(environment.KAFKA_LISTENERS).toContain(`PLAINTEXT_HOST://:${inside}`);
  });

  it("has RabbitMQ's management, on a port that the header tells", () => {
    const { image, ports } = services.rabbitmq as Service;
    expect(image).toMatch(/-management$/);
    expect(ports).toContainEqual(expect.stringMatching(/:15672$/));
    expect(text).toContain("http://127.0.0.1:55673");
  });
});

function kindsOf(service: string): readonly ServerKindName[] {
  return (Object.keys(serverKinds) as ServerKindName[]).filter((kind) => serverKinds[kind].compose.name === service);
}
