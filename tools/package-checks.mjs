/**
 * `npm run package-checks [-- --update-names]`: what a user of the published packages would stumble over.
 *
 * 1. publint --strict and attw --profile esm-only on every package, as packed
 * 2. every package ships a README and a LICENSE, and no test
 * 3. knip: no unused file, export or dependency
 * 4. the declarations compile under TypeScript 5.9 and 6.0 too, library checks on
 * 5. the public names are those of tools/public-names.json; --update-names rewrites it, so that a change of names shows in review
 *
 * Needs a build. Prints a line per check and ends with `N passed, N failed`.
 */
import { spawn } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { root } from "./prepare.mjs";

const require = createRequire(import.meta.url);
const scratch = join(root, ".cache/package-checks");
const packages = readdirSync(join(root, "packages"))
  .filter((name) => existsSync(join(root, "packages", name, "package.json")))
  .sort();

let passed = 0;
let failed = 0;

function report(name, problem) {
  if (problem === "") passed += 1;
  else failed += 1;
  console.log(`${problem === "" ? "ok    " : "FAILED"} ${name}${problem === "" ? "" : `\n${problem.replace(/^/gm, "       ")}`}`);
}

/** Runs one of our tools; resolves with "" or with what it printed before it failed. */
function tool(script, args, cwd = root) {
  return new Promise((resolve) => {
    const child = spawn(process.execPath, [join(root, "node_modules", script), ...args], {
      cwd,
      env: { ...process.env, NO_COLOR: "1", FORCE_COLOR: "0" },
    });
    let output = "";
    child.stdout.on("data", (chunk) => {
      output += chunk;
    });
    child.stderr.on("data", (chunk) => {
      output += chunk;
    });
    child.once("error", (error) => resolve(String(error)));
    child.once("close", (code) => resolve(code === 0 ? "" : output.trim() || `exit code ${code}`));
  });
}

/** The paths `npm pack` would ship. */
async function packedFiles(folder) {
  const npm = process.env.npm_execpath;
  const args = ["pack", "--dry-run", "--json", "--ignore-scripts"];
  const child =
    npm === undefined
      ? spawn("npm", args, { cwd: folder, shell: process.platform === "win32", stdio: ["ignore", "pipe", "ignore"] })
      : spawn(process.execPath, [npm, ...args], { cwd: folder, stdio: ["ignore", "pipe", "ignore"] });
  let output = "";
  for await (const chunk of child.stdout) output += chunk;
  return JSON.parse(output)[0].files.map((file) => file.path);
}

async function checkPackage(name) {
  const folder = join(root, "packages", name);
  const [lint, types, files] = await Promise.all([
    tool("publint/src/cli.js", ["--strict"], folder),
    tool("@arethetypeswrong/cli/dist/index.js", ["--pack", ".", "--profile", "esm-only", "--format", "ascii"], folder),
    packedFiles(folder),
  ]);
  report(`publint ${name}`, lint);
  report(`attw ${name}`, types);
  const missing = ["README.md", "LICENSE", "dist/index.js", "dist/index.d.ts", "src/index.ts"].filter((path) => !files.includes(path));
  const unwanted = files.filter((path) => /\.test(-d)?\.|tsbuildinfo|^test\/|^bench\/|dist-programs/.test(path));
  report(`files ${name}`, [...missing.map((path) => `missing: ${path}`), ...unwanted.map((path) => `unwanted: ${path}`)].join("\n"));
}

/** A consumer that imports every package, compiled by an older compiler. Only complaints about our declarations count. */
async function checkDeclarations() {
  rmSync(scratch, { recursive: true, force: true });
  mkdirSync(scratch, { recursive: true });
  const imports = packages.map((name, index) => `import * as p${index} from "@waybill/${name}";`);
  const uses = `export const all: readonly object[] = [${packages.map((_, index) => `p${index}`).join(", ")}];`;
  writeFileSync(join(scratch, "consumer.ts"), `${[...imports, uses].join("\n")}\n`);
  writeFileSync(join(scratch, "package.json"), `{ "type": "module" }\n`);
  writeFileSync(
    join(scratch, "tsconfig.json"),
    JSON.stringify({
      compilerOptions: {
        strict: true,
        exactOptionalPropertyTypes: true,
        module: "nodenext",
        target: "es2023",
        lib: ["es2023", "esnext.disposable"],
        types: ["node"],
        skipLibCheck: false,
        noEmit: true,
      },
      files: ["consumer.ts"],
    }),
  );
  for (const version of ["5.9", "6.0"]) {
    const output = await tool(`typescript-${version}/bin/tsc`, ["-p", scratch, "--pretty", "false"]);
    const ours = output.split("\n").filter((line) => /^(packages|\.cache)\/|^error/.test(line));
    report(`declarations under TypeScript ${version}`, ours.join("\n"));
  }
}

/** The names each package exports, types included, in the order of the alphabet. */
function publicNames() {
  const ts = require("typescript-6.0");
  const entries = packages.map((name) => join(root, "packages", name, "dist/index.d.ts"));
  const program = ts.createProgram(entries, {
    module: ts.ModuleKind.NodeNext,
    target: ts.ScriptTarget.ES2023,
    skipLibCheck: true,
    noEmit: true,
  });
  const checker = program.getTypeChecker();
  const names = {};
  for (const [index, entry] of entries.entries()) {
    const source = program.getSourceFile(entry);
    const symbol = source === undefined ? undefined : checker.getSymbolAtLocation(source);
    names[packages[index]] =
      symbol === undefined
        ? []
        : checker
            .getExportsOfModule(symbol)
            .map((exported) => exported.name)
            .sort();
  }
  return names;
}

function checkPublicNames() {
  const file = join(root, "tools/public-names.json");
  const found = publicNames();
  if (process.argv.includes("--update-names")) writeFileSync(file, `${JSON.stringify(found, null, 2)}\n`);
  const wanted = existsSync(file) ? JSON.parse(readFileSync(file, "utf8")) : {};
  for (const name of packages) {
    const before = new Set(wanted[name] ?? []);
    const after = new Set(found[name]);
    const changes = [
      ...[...after].filter((one) => !before.has(one)).map((one) => `new: ${one}`),
      ...[...before].filter((one) => !after.has(one)).map((one) => `gone: ${one}`),
    ];
    const advice = "meant? then: npm run package-checks -- --update-names";
    report(`public names ${name}`, changes.length === 0 ? "" : [...changes, advice].join("\n"));
  }
}

for (const name of packages) await checkPackage(name);
report("knip", await tool("knip/bin/knip.js", ["--no-progress", "--no-config-hints"]));
await checkDeclarations();
checkPublicNames();
rmSync(scratch, { recursive: true, force: true });
console.log(`${passed} passed, ${failed} failed`);
process.exitCode = failed === 0 ? 0 : 1;
