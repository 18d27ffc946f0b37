/**
 * Packages of another Debian suite with everything they need, libc included, unpacked into a folder of the cache. Nothing is
 * installed, the system's apt is not touched, and nobody must be root.
 *
 *     apt, with lists, cache and an empty status of its own ──▶ *.deb of the whole closure ──▶ one folder
 *
 * A program in it is started through the folder's own loader, so that it finds its own libc and not the system's. The mirror is
 * the one that the machine is configured with.
 */
import { access, mkdir, mkdtemp, readdir, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Cached, fillCache, findCached } from "./cache-folder.ts";
import { runCommand } from "./run-command.ts";

export interface DebRootOptions {
  /** `sid`, `trixie`. */
  readonly suite: string;
  /** The first is what we want, and its version is the folder's; the others belong to it. */
  readonly packages: readonly [string, ...string[]];
  /** Does what the packages' installation would have done and the programs need. */
  readonly finish?: (folder: string) => Promise<void>;
}

const keyring = "/usr/share/keyrings/debian-archive-keyring.gpg";
const listsDeadlineMs = 120_000;
const downloadDeadlineMs = 600_000;
const unpackDeadlineMs = 120_000;

/** Answers the folder, from the cache if it is there. Rejects with the reason if it cannot be had. */
export async function debRoot(options: DebRootOptions): Promise<Cached> {
  const [wanted] = options.packages;
  const name = `${wanted}-${options.suite}-${debianArchitecture()}`;
  return (await findCached(name)) ?? (await fillCache(name, (folder) => unpackClosure(options, folder)));
}

/** How to start a program of the folder with the folder's own libraries: put this before it. */
export function throughLoader(
  folder: string,
  program: string,
  libraries: readonly string[] = [],
): { command: string; args: readonly string[] } {
  const { triplet, loader } = architectures[debianArchitecture()];
  const own = join(folder, "usr", "lib", triplet);
  const paths = [own, ...libraries.map((path) => join(folder, path))];
  // Without argv0 the program would look for its neighbours beside the loader.
  return { command: join(own, loader), args: ["--library-path", paths.join(":"), "--argv0", join(folder, program), join(folder, program)] };
}

const architectures = {
  amd64: { triplet: "x86_64-linux-gnu", loader: "ld-linux-x86-64.so.2" },
  arm64: { triplet: "aarch64-linux-gnu", loader: "ld-linux-aarch64.so.1" },
} as const;

function debianArchitecture(): keyof typeof architectures {
  if (process.platform === "linux" && process.arch === "x64") return "amd64";
  if (process.platform === "linux" && process.arch === "arm64") return "arm64";
  throw new Error(`Debian's packages are unpacked on Linux x64 and arm64 only, and this is ${process.platform} ${process.arch}`);
}

async function unpackClosure({ suite, packages, finish }: DebRootOptions, folder: string): Promise<string> {
  const mirror = await configuredMirror();
  const apt = await mkdtemp(join(tmpdir(), "waybill-apt-"));
  try {
    const archives = join(apt, "cache", "archives");
    for (const part of ["parts", join("state", "lists", "partial"), join("cache", "archives", "partial")])
      await mkdir(join(apt, part), { recursive: true });
    await writeFile(join(apt, "state", "status"), ""); // nothing is installed: the closure reaches down to libc
    await writeFile(join(apt, "parts", "suite.sources"), sourcesFile(mirror, suite));
    await writeFile(join(apt, "apt.conf"), configuration(apt));
    const run = (command: string, args: readonly string[], deadlineMs: number): Promise<string> => runApt(apt, command, args, deadlineMs);
    await run("apt-get", ["update", "-qq"], listsDeadlineMs);
    await run("apt-get", ["install", "-qq", "-y", "--download-only", ...packages], downloadDeadlineMs);
    const debs = (await readdir(archives)).filter((file) => file.endsWith(".deb")).sort();
    for (const deb of debs) await unpack(join(archives, deb), folder);
    await linkTopFolders(folder);
    await finish?.(folder);
    const [wanted] = packages;
    const found = debs.find((deb) => deb.startsWith(`${wanted}_`));
    if (found === undefined) throw new Error(`apt downloaded ${debs.length} packages for ${wanted}, but not ${wanted}`);
    return upstreamVersion(await run("dpkg-deb", ["--field", join(archives, found), "Version"], 10_000));
  } finally {
    await rm(apt, { recursive: true, force: true, maxRetries: 3 });
  }
}

/** The Debian mirror that this machine's apt uses. */
async function configuredMirror(): Promise<string> {
  await access(keyring).catch(() => {
    throw new Error(`there is no ${keyring}: Debian's packages can be checked on Debian and its relatives only`);
  });
  const targets = await runCommand("apt-get", ["indextargets", "--format", "$(REPO_URI)"], { deadlineMs: 30_000 });
  if (targets.code !== 0) throw new Error(`apt-get does not run here: ${targets.problem ?? targets.stderr.trim()}`);
  const mirror = targets.stdout.split("\n").find((uri) => /\/debian\/?$/.test(uri));
  if (mirror === undefined) throw new Error("apt is configured with no Debian mirror");
  return mirror;
}

function sourcesFile(mirror: string, suite: string): string {
  return `Types: deb\nURIs: ${mirror}\nSuites: ${suite}\nComponents: main\nSigned-By: ${keyring}\n`;
}

function configuration(apt: string): string {
  return [
    `Dir::Etc::sourcelist "/dev/null";`,
    `Dir::Etc::sourceparts "${apt}/parts";`,
    `Dir::Etc::preferences "/dev/null";`,
    `Dir::Etc::preferencesparts "/dev/null";`,
    `Dir::State "${apt}/state";`,
    `Dir::State::status "${apt}/state/status";`,
    `Dir::Cache "${apt}/cache";`,
    `Acquire::Languages "none";`,
    `Acquire::Retries "3";`,
    `APT::Sandbox::User "";`,
    `APT::Install-Recommends "false";`,
    `Debug::NoLocking "true";`,
    "",
  ].join("\n");
}

async function runApt(apt: string, command: string, args: readonly string[], deadlineMs: number): Promise<string> {
  const env = { ...process.env, APT_CONFIG: join(apt, "apt.conf"), LC_ALL: "C", DEBIAN_FRONTEND: "noninteractive" };
  const result = await runCommand(command, args, { deadlineMs, env });
  if (result.code === 0) return result.stdout.trim();
  throw new Error(`${command} ${args[0]} failed: ${(result.problem ?? result.stderr.trim().slice(-600)) || `exit code ${result.code}`}`);
}

/** A package may have a folder where another has made a link; the link stays. Manuals are left out. */
async function unpack(deb: string, folder: string): Promise<void> {
  const script =
    'dpkg-deb --fsys-tarfile "$1" | tar --extract --directory "$2" --keep-directory-symlink --no-same-owner ' +
    "--exclude=./usr/share/doc --exclude=./usr/share/man --exclude=./usr/share/locale";
  const result = await runCommand("sh", ["-c", script, "sh", deb, folder], { deadlineMs: unpackDeadlineMs });
  if (result.code !== 0)
    throw new Error(`${deb} cannot be unpacked: ${(result.problem ?? result.stderr.trim().slice(-600)) || `exit code ${result.code}`}`);
}

/** Where no package made them, these are links into `usr`, as in every Debian. */
async function linkTopFolders(folder: string): Promise<void> {
  const entries = await readdir(folder);
  for (const name of ["bin", "sbin", "lib", "lib64"]) if (!entries.includes(name)) await symlink(`usr/${name}`, join(folder, name));
}

/** `9.7.2` of `1:9.7.2-1+b1`. */
function upstreamVersion(debian: string): string {
  return debian.replace(/^\d+:/, "").replace(/-[^-]*$/, "");
}
