import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";

const root = fileURLToPath(new URL("./", import.meta.url));
const startServers = `${root}packages/testing/src/vitest-global-setup.ts`;

// Tests run from source: a package's name leads to its src, so that no build is needed. Child processes use dist instead.
const alias = [
  { find: /^@waybill\/([a-z-]+)$/, replacement: `${root}packages/$1/src/index.ts` },
  { find: /^@waybill-example\/([a-z-]+)$/, replacement: `${root}examples/$1/src/index.ts` },
  { find: /^@waybill-tool\/([a-z-]+)$/, replacement: `${root}tools/$1/src/index.ts` },
];

export default defineConfig({
  test: {
    maxWorkers: 2,
    projects: [
      {
        resolve: { alias },
        test: {
          name: "unit",
          environment: "node",
          include: ["packages/*/src/**/*.test.ts", "examples/*/src/**/*.test.ts", "tools/*/src/**/*.test.ts"],
          // Properties that run thousands of schedules take a few seconds, and several times that on a machine that others load.
          testTimeout: 60_000,
        },
      },
      {
        resolve: { alias },
        test: {
          name: "server",
          environment: "node",
          include: ["packages/*/test/**/*.test.ts", "examples/*/test/**/*.test.ts"],
          globalSetup: existsSync(startServers) ? [startServers] : [],
          testTimeout: 60_000,
          hookTimeout: 60_000,
          teardownTimeout: 30_000,
        },
      },
    ],
    coverage: { provider: "v8", include: ["packages/*/src/**/*.ts"], exclude: ["**/*.test.ts", "**/*.test-d.ts"] },
  },
});
