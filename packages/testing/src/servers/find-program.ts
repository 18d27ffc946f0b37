import { access, constants, realpath } from "node:fs/promises";
import { delimiter, join } from "node:path";

/** Servers lie in folders that are in root's PATH only. */
const serverFolders = ["/usr/local/sbin", "/usr/sbin", "/sbin", "/usr/libexec"];

/** The real path of an installed program, or null. */
export async function findProgram(name: string): Promise<string | null> {
  const folders = [...(process.env.PATH ?? "").split(delimiter), ...serverFolders];
  for (const folder of folders) {
    if (folder === "") continue;
    const path = join(folder, name);
    const canRun = await access(path, constants.X_OK).then(
      () => true,
      () => false,
    );
    if (canRun) return realpath(path);
  }
  return null;
}
