/**
 * A copy of this repository into which bugs are planted, one at a time, in a temporary folder: nothing of ours is touched.
 *
 *     <folder>/packages, tools         copied, sources and build, and then broken
 *     <folder>/node_modules/@waybill*  links to what was copied, so that children find it, too
 *     <folder>/node_modules/*          links to what is installed
 */
import {
  cpSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";
import { type Replacement, replaced } from "./planted-bug.ts";

export interface PatchedTree {
  readonly folder: string;
  /** Puts replacements in, and answers how to take them out. Throws if a text is not where it was; then nothing was changed. */
  plant(replacements: readonly Replacement[]): () => void;
  remove(): void;
}

export const repository: string = fileURLToPath(new URL("../../../", import.meta.url));

/** What tests read beside the packages. */
const rootFiles = [
  "package.json",
  "tsconfig.json",
  "tsconfig.test.json",
  "tsconfig.programs.json",
  "vitest.config.ts",
  "docker-compose.yml",
];

/** Needs a build. Synchronous, because nothing else is to be done meanwhile and thousands of small files are copied several times as fast. */
export function patchedTree(): PatchedTree {
  const folder = mkdtempSync(join(tmpdir(), "waybill-planted-"));
  const remove = (): void => rmSync(folder, { recursive: true, force: true, maxRetries: 3 });
  try {
    for (const name of rootFiles) cpSync(join(repository, name), join(folder, name));
    for (const name of ["packages", "tools"]) {
      cpSync(join(repository, name), join(folder, name), { recursive: true, filter: isNeeded });
    }
    linkModules("", folder);
    for (const entry of readdirSync(join(repository, "packages"), { withFileTypes: true })) {
      if (entry.isDirectory()) linkModules(join("packages", entry.name), folder);
    }
    return { folder, plant: (replacements) => plant(folder, replacements), remove };
  } catch (error) {
    remove();
    throw error;
  }
}

function plant(folder: string, replacements: readonly Replacement[]): () => void {
  const before = new Map<string, string>();
  const after = new Map<string, string>();
  for (const replacement of replacements) {
    const { packageName, module } = replacement;
    for (const file of [`src/${module}.ts`, `dist/${module}.js`]) {
      const path = join(folder, "packages", packageName, file);
      const text = after.get(path) ?? readFileSync(path, "utf8");
      if (!before.has(path)) before.set(path, text);
      after.set(path, replaced(text, replacement));
    }
  }
  const write = (texts: ReadonlyMap<string, string>): void => {
    for (const [path, text] of texts) writeFileSync(path, text);
  };
  write(after);
  return () => write(before);
}

/** Without what is only for editors and debuggers: most of the bytes. */
function isNeeded(path: string): boolean {
  return basename(path) !== "node_modules" && !/\.(?:map|d\.ts|tsbuildinfo)$/.test(path);
}

/** Makes the `node_modules` of a folder: links to what is installed. Links of ours are relative, and lead to the copy. */
function linkModules(workspace: string, folder: string): void {
  const installed = join(repository, workspace, "node_modules");
  if (lstatSync(installed, { throwIfNoEntry: false }) === undefined) return;
  const modules = join(folder, workspace, "node_modules");
  mkdirSync(modules);
  for (const name of readdirSync(installed)) {
    if (name.startsWith(".")) continue;
    if (!name.startsWith("@waybill")) {
      symlinkSync(join(installed, name), join(modules, name));
      continue;
    }
    mkdirSync(join(modules, name));
    for (const own of readdirSync(join(installed, name))) {
      const link = join(installed, name, own);
      if (lstatSync(link).isSymbolicLink()) symlinkSync(readlinkSync(link), join(modules, name, own));
    }
  }
}
