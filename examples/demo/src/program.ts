import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const packages = {
  cli: import.meta.resolve("@waybill/cli/package.json"),
  order: import.meta.resolve("@waybill-example/order/package.json"),
  inventory: import.meta.resolve("@waybill-example/inventory/package.json"),
} as const;

/** The built program of a package: its `dist/main.js`, or another file there. */
export function programOf(name: keyof typeof packages, file = "main.js"): string {
  return join(dirname(fileURLToPath(packages[name])), "dist", file);
}
