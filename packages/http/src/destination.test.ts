import { type ConfigProblem, isWaybillError, secret, signingSecret } from "@waybill/core";
import { selfSigned } from "@waybill/testing";
import { describe, expect, test } from "vitest";
import { checkDestination, type HttpDestination } from "./destination.ts";
import { httpCaller } from "./http-caller.ts";
import { type HttpTransportOptions, httpTransport } from "./http-transport.ts";

const secrets = [signingSecret(`whsec_${Buffer.alloc(24, 1).toString("base64")}`)];

function problemsOf(options: HttpTransportOptions): readonly string[] {
  try {
    httpTransport(options);
    return [];
  } catch (error) {
    if (isWaybillError(error, "WAYBILL_CONFIG_INVALID")) return error.facts.problems.map(({ option, problem }) => `${option} ${problem}`);
    throw error;
  }
}

function urlOf(destination: HttpDestination, topic: string): string | null {
  const problems: ConfigProblem[] = [];
  return checkDestination(destination, (name) => name, problems)?.urlOf(topic)?.href ?? null;
}

describe("destination", () => {
  test.each([
    "https://receiver.example/in",
    "http://receiver.example:8080/in?t={topic}",
    "https://1.1.1.1/{topic}",
    "https://[2606:4700::1111]/",
  ])("%s is taken", (url) => {
    expect(problemsOf({ url, secrets })).toEqual([]);
  });

  test.each(["http://localhost:8080/{topic}", "http://127.0.0.1:1/", "https://[::1]:8443/", "http://127.9.9.9/"])(
    "%s may be unsigned, for it is loopback",
    (url) => {
      expect(problemsOf({ url })).toEqual([]);
    },
  );

  test.each([
    ["", /must be a URL/],
    ["receiver.example", /must be a URL/],
    ["ftp://receiver.example/", /must begin with https/],
    ["https://user:hunter2@receiver.example/", /must not hold credentials/],
    ["https://receiver.example/#x", /fragment/],
    ["https://{topic}.receiver.example/", /path or query only/],
    ["https://receiver.example:{topic}/", /must be a URL/],
    ["http://10.0.0.7/", /not public/],
    ["http://169.254.169.254/", /not public/],
    ["http://2130706434.0/", /must be a URL/],
    ["http://[fd12::1]/", /not public/],
  ])("%s is refused", (url, rule) => {
    const problems = problemsOf({ url, secrets });
    expect(problems).toHaveLength(1);
    expect(problems[0]).toMatch(rule);
    expect(problems.join()).not.toContain("hunter2");
  });

  test("unsigned is refused for every host that does not say loopback literally", () => {
    expect(problemsOf({ url: "https://receiver.example/" })).toEqual([expect.stringMatching(/^secrets give a signing secret/)]);
    expect(problemsOf({ url: "http://10.0.0.7/", allowNetworks: ["10.0.0.0/8"] })).toEqual([expect.stringMatching(/^secrets/)]);
  });

  test("a private address is taken once allowNetworks opens it", () => {
    expect(problemsOf({ url: "http://10.0.0.7/", secrets, allowNetworks: ["10.0.0.0/8"] })).toEqual([]);
  });

  test("everything that is wrong is reported at once, by topic", () => {
    const weak = secret("short");
    const orders = { url: "nonsense", secrets: [weak], concurrency: 0, deadlineMs: 1.5, allowNetworks: ["169.254.169.254", "x"] };
    const problems = problemsOf({ topics: { orders, payments: { url: "https://receiver.example/" } } });
    expect(problems.map((problem) => problem.split(" ")[0])).toEqual([
      "topics.orders.allowNetworks",
      "topics.orders.allowNetworks",
      "topics.orders.concurrency",
      "topics.orders.deadlineMs",
      "topics.orders.secrets",
      "topics.orders.url",
      "topics.payments.secrets",
    ]);
    expect(problemsOf({ topics: {} })).toEqual(["topics must name at least one topic"]);
  });

  test("a client certificate that cannot be used is refused before anything is sent", () => {
    const url = "https://receiver.example/";
    const own = selfSigned();
    expect(problemsOf({ url, secrets, tls: own })).toEqual([]);
    expect(problemsOf({ url, secrets, tls: { ca: own.cert } })).toEqual([]);
    for (const tls of [
      { cert: "garbage", key: "garbage" },
      { cert: own.cert, key: "garbage" },
      { cert: "garbage", key: own.key },
      { cert: own.cert, key: selfSigned().key },
      { cert: own.cert },
      { key: own.key },
    ]) {
      expect(problemsOf({ url, secrets, tls })).toEqual([expect.stringMatching(/^tls /)]);
      expect(problemsOf({ topics: { orders: { url, secrets, tls } } })).toEqual([expect.stringMatching(/^topics\.orders\.tls /)]);
    }
    expect(() => httpCaller({ tls: { cert: "garbage", key: "garbage" } })).toThrow(/tls/);
  });

  test("a topic takes its place in the URL and cannot leave it", () => {
    const destination = { url: "https://receiver.example/v1/{topic}/in?t={topic}", secrets };
    expect(urlOf(destination, "shop.orders")).toBe("https://receiver.example/v1/shop.orders/in?t=shop.orders");
    expect(urlOf(destination, "a/../../b?x=1#y")).toBe(
      "https://receiver.example/v1/a%2F..%2F..%2Fb%3Fx%3D1%23y/in?t=a%2F..%2F..%2Fb%3Fx%3D1%23y",
    );
    expect(urlOf(destination, "$&")).toBe("https://receiver.example/v1/%24%26/in?t=%24%26");
    expect([".", "..", "", "\ud800"].map((topic) => urlOf(destination, topic))).toEqual([null, null, null, null]);
    expect(urlOf({ url: "https://receiver.example/in", secrets }, "..")).toBe("https://receiver.example/in");
  });
});
