/**
 * The file of `half-message serve`: the options of `createHalfMessageService`, by their names, as JSON. A secret is `{"env": "NAME"}` or `{"file": "path"}`, never
 * a value; files of keys are read again when they change.
 */
import { readFileSync } from "node:fs";
import { type ConfigProblem, secret, throwConfigProblems } from "@waybill/core";
import { isObject, type Json } from "../file-values.ts";
import { parseJson } from "../parse-json.ts";

/** Reads the file. @throws WAYBILL_CONFIG_INVALID */
export function readServiceFile(path: string): Json {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch {
    return refuse("must name a file that can be read");
  }
  const parsed = parseJson(text);
  if (parsed.kind === "repeated") throwConfigProblems("The half-message service", [{ option: parsed.at, problem: "is given twice" }]);
  if (parsed.kind === "parsed" && isObject(parsed.value)) return parsed.value;
  return refuse("must name a file that holds one JSON object");
}

/** The same with every `{"env": "NAME"}` made a secret. `{"file"}` stays, for the service to read. */
export function withSecrets(value: unknown, environment: Readonly<Record<string, string | undefined>>): unknown {
  const problems: ConfigProblem[] = [];
  const resolved = resolve(value, "", environment, problems);
  throwConfigProblems("The half-message service", problems);
  return resolved;
}

function resolve(
  value: unknown,
  at: string,
  environment: Readonly<Record<string, string | undefined>>,
  problems: ConfigProblem[],
): unknown {
  if (Array.isArray(value)) return value.map((each, index) => resolve(each, `${at}[${index}]`, environment, problems));
  // A secret that was given by flag or environment is one already.
  if (!isObject(value) || "reveal" in value) return value;
  const { env } = value;
  if (typeof env === "string" && Object.keys(value).length === 1) {
    const found = environment[env];
    if (found !== undefined && found !== "") return secret(found);
    problems.push({ option: at, problem: `needs the environment variable ${env}, which is not there` });
    return secret("");
  }
  return Object.fromEntries(
    Object.entries(value).map(([name, each]) => [name, resolve(each, at === "" ? name : `${at}.${name}`, environment, problems)]),
  );
}

function refuse(problem: string): never {
  throwConfigProblems("The half-message service", [{ option: "--config", problem }]);
  throw new Error("unreachable");
}
