import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const packages = {
  cli: import.meta.resolve("@waybill/cli/package.json"),
  order: import.meta.resolve("@waybill-example/order/package.json"),
  inventory: import.meta.resolve("@waybill-example/inventory/package.json"),
  payment: import.meta.resolve("@waybill-example/payment/package.json"),
} as const;

export type Program = keyof typeof packages;

/** The built program of a package: its `dist/main.js`, or another file there. */
export function programOf(name: Program, file = "main.js"): string {
  return join(dirname(fileURLToPath(packages[name])), "dist", file);
}
