import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

/** The built program of a package: its `dist/main.js`, or another file there. */
export function programOf(packageName: string, file = "main.js"): string {
  return join(dirname(fileURLToPath(import.meta.resolve(`${packageName}/package.json`))), "dist", file);
}
