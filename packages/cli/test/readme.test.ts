import { execFile } from "node:child_process";
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { mkdtemp } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { describe, expect, test } from "vitest";
import { settingsOf, spellingsOf } from "../src/command.ts";
import { readConfiguration } from "../src/configuration.ts";
import { gatherProblems, relayEntries, relaySettings } from "../src/relay-entries.ts";
import { definitions } from "../src/run-command.ts";
import { admin, config, databases } from "../src/settings.ts";

const readme = readFileSync(new URL("../README.md", import.meta.url), "utf8");

describe("the README", () => {
  test("lists every option of every command, with its variable and its default", () => {
    for (const setting of definitions.flatMap(settingsOf)) {
      const [flag, variable] = spellingsOf(setting);
      // The same name may mean something else to another command: then there is a row for each.
      const rows = readme.split("\n").filter((line) => line.startsWith(`| \`${flag}\``) || line.startsWith(`| \`${flag} `));
      const shown = setting.placeholder === null ? null : (setting.defaultText ?? setting.defaultNote);
      const wanted = [`\`${variable}\``, ...(shown === null ? [] : [`| ${shown} |`])];
      expect(rows.filter((row) => wanted.every((text) => row.includes(text))).length, flag).toBeGreaterThan(0);
    }
  });

  test("lists no option that there is not", () => {
    const known = new Set(definitions.flatMap(settingsOf).map((setting) => spellingsOf(setting)[0]));
    const listed = [...readme.matchAll(/^\| `(--[a-z-]+)/gm)].map((match) => match[1]);
    expect(listed.filter((flag) => !known.has(flag ?? ""))).toEqual([]);
  });

  test("shows a file of several relays that is taken as it stands", () => {
    const environment = {
      SEARCH_KEY: `whsec_${Buffer.from("0123456789abcdef01234567").toString("base64")}`,
      BILLING_URL: "postgres://h/billing",
    };
    const file = (/```json\n([\s\S]*?)```/.exec(readme)?.[1] ?? "").replace(
      '{ "file": "/run/secrets/shop-database" }',
      '{ "env": "BILLING_URL" }',
    );
    const settings = [...relaySettings, databases, admin, config];
    const knownNames = new Set(settings.map(({ name }) => name));
    const configuration = readConfiguration({ settings, knownNames, flags: { config: "file" }, environment, readFile: () => file });
    const entries = relayEntries(configuration, environment);
    gatherProblems(configuration, entries);
    configuration.checked({});
    expect(entries.map(({ name }) => name)).toEqual(["shop/default/kafka", "shop/default/search", "billing/default/default"]);
  });

  test("shows a transport module that works", async () => {
    const code = /```js\n([\s\S]*?)```/.exec(readme)?.[1] ?? "";
    const folder = await mkdtemp(join(tmpdir(), "waybill-readme-"));
    try {
      writeFileSync(join(folder, "module.mjs"), code);
      const script = `const { default: make } = await import("./module.mjs");
        const transport = make({ prefix: "> " }, { onEvent() {} });
        console.log(JSON.stringify(await transport.publish([{ topic: "orders", id: "1" }], { deadlineMs: 1000 })));
        await transport.close({ deadlineMs: 1000 });`;
      const { stdout, stderr } = await promisify(execFile)(process.execPath, ["--input-type=module", "-e", script], { cwd: folder });
      expect([stdout, stderr]).toEqual(['[{"kind":"confirmed"}]\n', "> orders 1\n"]);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});
