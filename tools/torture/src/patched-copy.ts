/**
 * A copy of the packages with a broken build's replacements in it, in a temporary folder: nothing of ours is touched.
 *
 *     <folder>/node_modules/@waybill/*               copied, and then broken
 *     <folder>/node_modules/@waybill-tool/torture    copied: its relay program finds the broken packages
 *     <folder>/node_modules/*                        links to what is installed
 */
import { cp, mkdir, mkdtemp, readdir, readFile, realpath, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { type BrokenBuild, replaced } from "./broken-builds.ts";

export interface PatchedCopy {
  /** The relay program that runs the broken packages. */
  readonly relayProgram: string;
  remove(): Promise<void>;
}

const installed = fileURLToPath(new URL("../../../node_modules/", import.meta.url));

/** Needs a build. Throws if a replacement's text is not where it was. */
export async function patchedCopy({ replacements }: BrokenBuild): Promise<PatchedCopy> {
  const folder = await mkdtemp(join(tmpdir(), "waybill-broken-"));
  const modules = join(folder, "node_modules");
  try {
    await mkdir(modules);
    for (const name of await readdir(installed)) {
      if (name.startsWith("@waybill") || name.startsWith(".")) continue;
      await symlink(join(installed, name), join(modules, name));
    }
    for (const scope of ["@waybill", "@waybill-tool"]) {
      for (const name of await readdir(join(installed, scope))) {
        const source = await realpath(join(installed, scope, name));
        for (const part of ["package.json", "dist", "sql"]) {
          await cp(join(source, part), join(modules, scope, name, part), { recursive: true }).catch((error: NodeJS.ErrnoException) => {
            if (error.code !== "ENOENT") throw error; // not every package has all of them
          });
        }
      }
    }
    for (const replacement of replacements) {
      const file = join(modules, "@waybill", replacement.packageName, "dist", `${replacement.module}.js`);
      await writeFile(file, replaced(await readFile(file, "utf8"), replacement));
    }
    return {
      relayProgram: join(modules, "@waybill-tool/torture/dist/relay-program.js"),
      remove: () => rm(folder, { recursive: true, force: true }),
    };
  } catch (error) {
    await rm(folder, { recursive: true, force: true });
    throw error;
  }
}
