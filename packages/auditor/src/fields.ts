import { AuditInputError } from "./audit-input-error.ts";

/** Picks checked fields out of parsed JSON. Each error names the place and the rule, never the value. */
export type Fields = Readonly<Record<string, unknown>>;

export function objectAt(value: unknown, where: string): Fields {
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw new AuditInputError(where, "must be an object");
  return value as Fields;
}

export function arrayAt(value: unknown, where: string): readonly unknown[] {
  if (!Array.isArray(value)) throw new AuditInputError(where, "must be an array");
  return value;
}

export function textAt(fields: Fields, name: string, where: string): string {
  const value = fields[name];
  if (typeof value !== "string") throw new AuditInputError(`${where}.${name}`, "must be text");
  return value;
}

export function textOrNullAt(fields: Fields, name: string, where: string): string | null {
  return fields[name] === null ? null : textAt(fields, name, where);
}

export function flagAt(fields: Fields, name: string, where: string): boolean {
  const value = fields[name];
  if (typeof value !== "boolean") throw new AuditInputError(`${where}.${name}`, "must be true or false");
  return value;
}

export function countAt(fields: Fields, name: string, where: string): number {
  const value = fields[name];
  if (typeof value !== "number" || !Number.isSafeInteger(value)) throw new AuditInputError(`${where}.${name}`, "must be a whole number");
  return value;
}

/** Ids are 64 bits wide: decimal text, or a number that is exact. */
export function idAt(fields: Fields, name: string, where: string): bigint {
  const value = fields[name];
  if (typeof value === "bigint") return value;
  if (typeof value === "number" && Number.isSafeInteger(value)) return BigInt(value);
  if (typeof value === "string" && /^-?\d{1,19}$/.test(value)) return BigInt(value);
  throw new AuditInputError(`${where}.${name}`, "must be a decimal id, as text or as an exact number");
}

export function oneOfAt<Choice extends string>(fields: Fields, name: string, where: string, choices: readonly Choice[]): Choice {
  const value = fields[name];
  const choice = choices.find((each) => each === value);
  if (choice === undefined) throw new AuditInputError(`${where}.${name}`, `must be one of ${choices.join(", ")}`);
  return choice;
}

/** The field as an optional property: absent stays absent. */
export function optional<Name extends string, Value>(
  fields: Fields,
  name: Name,
  where: string,
  read: (fields: Fields, name: string, where: string) => Value,
): { readonly [Key in Name]?: Value } {
  if (fields[name] === undefined) return {};
  return { [name]: read(fields, name, where) } as { readonly [Key in Name]?: Value };
}
