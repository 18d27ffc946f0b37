/**
 * How RabbitMQ's programs are run: as they are installed, or those of another Debian suite, which expect to lie below `/`.
 *
 * The latter get a private mount namespace in which their folder is `/` and the node's state is `/state`: as root, or as a plain user
 * where the system lets one make a user namespace. Each command replaces itself by the next, so that the process we start is the one
 * that runs in the end.
 */
import { copyFile, mkdir, readlink, symlink } from "node:fs/promises";
import { dirname, join } from "node:path";
import { debRoot } from "./deb-root.ts";
import { findProgram } from "./find-program.ts";
import type { ServerAccount } from "./server-account.ts";

export interface RabbitmqPrograms {
  /** How to run one of them: `rabbitmq-server`, `rabbitmqctl`, `epmd`. */
  command(name: string, args: readonly string[]): { readonly command: string; readonly args: readonly string[] };
  /** The state's folder as they see it. */
  readonly state: string;
  /** Where they look for each other. */
  readonly path: string;
  /** As whom to start them; those in a namespace change over themselves. */
  readonly account: ServerAccount;
}

/** The installed ones. `folder` is the node's state. */
export async function installedRabbitmq(folder: string, account: ServerAccount): Promise<RabbitmqPrograms> {
  const found = await findProgram("rabbitmq-server");
  if (found === null) throw new Error("there is no rabbitmq-server: install it");
  const epmd = await findProgram("epmd");
  if (epmd === null) throw new Error("there is no epmd, which comes with Erlang");
  // What lies in the PATH may be a wrapper that insists on root or a certain user; beside the wrapper lie the programs.
  const programs = dirname(found);
  return {
    command: (name, args) => ({ command: name === "epmd" ? epmd : join(programs, name), args }),
    state: folder,
    path: [programs, process.env.PATH ?? ""].join(":"),
    account,
  };
}

/** Tools that RabbitMQ's scripts call, and that every Debian has without asking. */
const shellTools = ["dash", "bash", "coreutils", "sed", "grep", "gawk", "hostname", "procps", "util-linux", "libc-bin", "netbase"];

/** Those of a Debian suite. */
export async function unpackedRabbitmq(suite: string, folder: string, account: ServerAccount): Promise<RabbitmqPrograms> {
  const root = await debRoot({ suite, packages: ["rabbitmq-server", ...shellTools], finish: makeRoot });
  const asRoot = account.uid !== undefined;
  const unshare = asRoot ? ["--mount"] : ["--map-root-user", "--mount"];
  const bind =
    'mount --bind "$1" "$2/state" && mount --bind "$1/tmp" "$2/tmp" && mount --rbind /proc "$2/proc" && mount --rbind /dev "$2/dev" && ' +
    'shift && root=$1 && shift && exec chroot "$root" "$@"';
  // Whoever changes the user loses the parent-death signal and must ask for it again.
  const change = asRoot ? [`--reuid=${account.uid}`, `--regid=${account.gid}`, "--clear-groups"] : [];
  const setpriv = ["/usr/bin/setpriv", ...change, "--pdeathsig", "KILL"];
  return {
    command: (name, args) => {
      const inner = [...setpriv, "/bin/sh", "-c", 'cd /state && exec "$@"', "sh", name, ...args];
      return { command: "unshare", args: [...unshare, "sh", "-c", bind, "sh", folder, root.folder, ...inner] };
    },
    state: "/state",
    path: "/usr/lib/rabbitmq/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    account: {},
  };
}

/** What the packages' own installation would have made, and places to mount on. */
async function makeRoot(folder: string): Promise<void> {
  for (const place of ["proc", "dev", "tmp", "state", "run", "etc", "var/lib/rabbitmq", "var/log/rabbitmq"])
    await mkdir(join(folder, place), { recursive: true });
  for (const file of ["passwd", "group", "hosts"]) await copyFile(join("/etc", file), join(folder, "etc", file));
  for (const [name, program] of [
    ["sh", "dash"],
    ["awk", "gawk"],
  ] as const) {
    const link = join(folder, "usr", "bin", name);
    const isThere = await readlink(link).then(
      () => true,
      () => false,
    );
    if (!isThere) await symlink(program, link);
  }
}
