/**
 * What launchers download once is kept in one folder, each thing in a folder of its own named by name and version.
 *
 *     making ──▶ a hidden folder beside it ──rename──▶ <cache>/<name>-<version>
 *
 * A thing is there entirely or not at all: two processes may make it at the same time, and the second throws its own away. One that
 * is killed leaves a hidden folder behind, which nobody reads.
 */
import { mkdir, mkdtemp, readdir, rename, rm } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";
import { serverAccount } from "./server-account.ts";
import { isOpenToAll } from "./server-folder.ts";

/** What lies in the cache. */
export interface Cached {
  readonly folder: string;
  readonly version: string;
}

/**
 * The folder: `WAYBILL_CACHE`, else `waybill` in the user's cache directory. Root's own may be closed to the account that servers run
 * as, and is then `/var/cache/waybill`. A folder that was named and is closed is an error.
 */
export async function cacheFolder(): Promise<string> {
  const named = process.env.WAYBILL_CACHE;
  const folder = named === undefined || named === "" ? usersCache() : named;
  await mkdir(folder, { recursive: true });
  const { uid } = serverAccount();
  if (uid === undefined || (await isOpenToAll(folder))) return folder;
  if (folder === named)
    throw new Error(`WAYBILL_CACHE=${named} may not be entered by user ${uid}, as which servers run when root starts them.`);
  await mkdir(rootsCache, { recursive: true });
  return rootsCache;
}

const rootsCache = "/var/cache/waybill";

function usersCache(): string {
  if (process.platform === "win32") return join(process.env.LOCALAPPDATA ?? homedir(), "waybill", "cache");
  if (process.platform === "darwin") return join(homedir(), "Library", "Caches", "waybill");
  const { XDG_CACHE_HOME: base } = process.env;
  return join(base === undefined || base === "" ? join(homedir(), ".cache") : base, "waybill");
}

/** Something that is in the cache already, or null: of a version, or the newest there is. No network is asked. */
export async function findCached(name: string, version?: string): Promise<Cached | null> {
  const cache = await cacheFolder();
  const there = (await readdir(cache)).filter((entry) => entry.startsWith(`${name}-`)).map((entry) => entry.slice(name.length + 1));
  const found =
    version === undefined
      ? there
          .filter((entry) => /^\d/.test(entry))
          .sort(byVersion)
          .at(-1)
      : there.find((entry) => entry === version);
  return found === undefined ? null : { folder: join(cache, `${name}-${found}`), version: found };
}

/** `9.10.0` comes after `9.7.2`. */
function byVersion(one: string, other: string): number {
  return one.localeCompare(other, "en", { numeric: true });
}

/** Puts something into the cache: `make` fills an empty folder and answers the version. What it throws leaves nothing behind. */
export async function fillCache(name: string, make: (folder: string) => Promise<string>): Promise<Cached> {
  const cache = await cacheFolder();
  const making = await mkdtemp(join(cache, `.making-${name}-`));
  try {
    const content = join(making, "content");
    await mkdir(content);
    const version = await make(content);
    const folder = join(cache, `${name}-${version}`);
    try {
      await rename(content, folder);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code !== "ENOTEMPTY" && code !== "EEXIST") throw error; // else somebody was faster: theirs is as good
    }
    return { folder, version };
  } finally {
    await rm(making, { recursive: true, force: true, maxRetries: 3 });
  }
}
