import { chown, mkdtemp, readdir, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import type { ServerAccount } from "./server-account.ts";

/** An empty temporary folder that belongs to `account`, whose whole path it may enter. Who launches a server removes it. */
export async function makeServerFolder(server: string, account: ServerAccount): Promise<string> {
  const folder = await mkdtemp(join(await openTemporaryFolder(server, account), `waybill-${server}-`));
  if (account.uid !== undefined) await chown(folder, account.uid, account.gid ?? account.uid);
  return folder;
}

/** `TMPDIR` may lie below a private folder. */
async function openTemporaryFolder(server: string, account: ServerAccount): Promise<string> {
  if (account.uid === undefined) return tmpdir();
  for (const candidate of [tmpdir(), "/tmp", "/var/tmp"]) if (await isOpenToAll(candidate)) return candidate;
  throw new Error(`Neither ${tmpdir()} nor /tmp nor /var/tmp may be entered by user ${account.uid}, as which ${server} must run.`);
}

/** Whether everybody may enter a folder and all above it. */
export async function isOpenToAll(folder: string): Promise<boolean> {
  for (let path = folder; ; path = dirname(path)) {
    const found = await stat(path).catch(() => null);
    if (found === null || (found.mode & 0o001) === 0) return false;
    if (path === dirname(path)) return true;
  }
}

/** A folder that everybody may stand in: a server must not run in one that its account cannot enter. */
export function rootFolder(): string {
  return process.platform === "win32" ? (process.env.SystemDrive ?? "C:") : "/";
}

/** Gives a folder and all in it to an account. Does nothing if that is ourselves. */
export async function giveFolder(folder: string, account: ServerAccount): Promise<void> {
  if (account.uid === undefined) return;
  await give(folder, account.uid, account.gid ?? account.uid);
}

async function give(path: string, uid: number, gid: number): Promise<void> {
  await chown(path, uid, gid);
  for (const entry of await readdir(path, { withFileTypes: true })) {
    const child = join(path, entry.name);
    if (entry.isDirectory()) await give(child, uid, gid);
    else if (!entry.isSymbolicLink()) await chown(child, uid, gid);
  }
}
