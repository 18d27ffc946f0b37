/** What an operator registers a receiver with, read and checked. */
import { isWellFormed } from "@waybill/core";
import type { ReceiverRules } from "../notification/receiver-options.ts";
import { type Delays, isPreset, type SuccessRule } from "../notification/schedule.ts";
import type { ReceiverSecret } from "../receiver-store.ts";
import { type Complaints, type Fields, readArray, readObject, readText } from "./fields.ts";

export interface RegisteredReceiver {
  readonly url: string;
  readonly schedule: string | Delays;
  readonly success: SuccessRule | null;
  /** null: as it is, or derived. */
  readonly secret: ReceiverSecret | null;
}

const urlLengthMax = 1_024;
const delaysMax = 50;
const delayMsMax = 30 * 86_400_000;
const textLengthMax = 1_024;

export function readReceiver(fields: Fields, rules: ReceiverRules, to: Complaints): RegisteredReceiver {
  const url = readText(fields, "url", "", to, (text) => urlProblem(text, rules)) ?? "";
  return { url, schedule: readSchedule(fields, rules, to), success: readSuccess(fields, to), secret: readSecret(fields, to) };
}

function urlProblem(text: string, { allowHttp, allowPorts }: ReceiverRules): string | null {
  const rule = `a URL with ${allowHttp ? "http or https" : "https"}, without user or password, on port ${allowPorts.join(", ")}, up to ${urlLengthMax} characters`;
  if (text.length > urlLengthMax || !URL.canParse(text)) return rule;
  const { protocol, username, password, port } = new URL(text);
  if (protocol !== "https:" && !(allowHttp && protocol === "http:")) return rule;
  const effective = port === "" ? (protocol === "https:" ? 443 : 80) : Number(port);
  return username === "" && password === "" && allowPorts.includes(effective) ? null : rule;
}

function readSchedule(fields: Fields, rules: ReceiverRules, to: Complaints): string | Delays {
  if (fields.schedule === undefined) return rules.schedule;
  if (typeof fields.schedule === "string") {
    return readText(fields, "schedule", "", to, (text) => (isPreset(text) ? null : "the name of a preset, or delays")) ?? rules.schedule;
  }
  const delays = readArray(fields, "schedule", "", to, { min: 1, max: delaysMax }) ?? [];
  return delays.flatMap((delay, index): readonly number[] => {
    if (typeof delay === "number" && Number.isSafeInteger(delay) && delay >= 0 && delay <= delayMsMax) return [delay];
    to.malformed(`schedule[${index}]`, `must be a whole number from 0 to ${delayMsMax}`);
    return [];
  });
}

function readSuccess(fields: Fields, to: Complaints): SuccessRule | null {
  if (fields.success === undefined) return null;
  const rule = readObject(fields.success, "success", ["status", "bodyEquals", "jsonField"], to);
  const statuses = readArray(rule, "status", "success", to, { min: 1, max: 20 }) ?? ["2xx"];
  const status = statuses.flatMap((one, index): readonly ("2xx" | number)[] => {
    if (one === "2xx") return ["2xx"];
    if (typeof one === "number" && Number.isInteger(one) && one >= 100 && one <= 599) return [one];
    to.malformed(`success.status[${index}]`, "must be 2xx, or a status");
    return [];
  });
  const bodyEquals = readText(rule, "bodyEquals", "success", to, plainProblem);
  const jsonField = rule.jsonField === undefined ? undefined : readJsonField(rule.jsonField, to);
  return { status, ...(bodyEquals === undefined ? {} : { bodyEquals }), ...(jsonField === undefined ? {} : { jsonField }) };
}

function readJsonField(value: unknown, to: Complaints): SuccessRule["jsonField"] {
  const at = "success.jsonField";
  const fields = readObject(value, at, ["name", "equals"], to);
  const name = readText(fields, "name", at, to, plainProblem);
  const { equals } = fields;
  if (name === undefined) to.malformed(`${at}.name`, "is needed");
  if (typeof equals === "string" || typeof equals === "number" || typeof equals === "boolean") return { name: name ?? "", equals };
  to.malformed(`${at}.equals`, "must be text, a number, true or false");
  return undefined;
}

function readSecret(fields: Fields, to: Complaints): ReceiverSecret | null {
  if (fields.secret === undefined) return null;
  const secret = readObject(fields.secret, "secret", ["derived", "file"], to);
  const file = readText(secret, "file", "secret", to, plainProblem);
  if (file !== undefined) return { file };
  const { derived } = secret;
  if (typeof derived === "number" && Number.isInteger(derived) && derived >= 1 && derived <= 1_000_000) return { derived };
  to.malformed("secret", "must be a number from which it is derived, or the file that holds it");
  return null;
}

function plainProblem(text: string): string | null {
  return text.length <= textLengthMax && isWellFormed(text) ? null : `text of up to ${textLengthMax} characters`;
}
