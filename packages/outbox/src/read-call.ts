/** What a call of `append` says: which messages, and how. */
import { type ConfigProblem, type Message, throwConfigProblems } from "@waybill/core";
import { type ConfirmOptions, confirmProblems } from "./confirm-by.ts";
import { type DelayOptions, delayProblems } from "./delay.ts";

/** What `append` may be told beside the messages. With `deliverAt` or `delayMs` all messages of the call wait until they are due. */
export interface AppendOptions extends DelayOptions, ConfirmOptions {
  /**
   * Locks each message's topic and key until the transaction ends, before anything is inserted: of two transactions with the same
   * key the second waits here. Needed for order per key where the transactions do not exclude each other already – by updating the
   * same row first, say. One statement more per key; on MySQL and MariaDB one for all, and keys that share one of 1 024 locks wait for
   * each other. Default false. A delayed message also takes the lock when it enters the ledger, whatever was said here.
   */
  readonly serialiseKey?: boolean;
  /**
   * What to do when an id of the caller's own was appended before, with the same content: throw WAYBILL_MESSAGE_ID_REPEATED, or
   * nothing. With other content it is always an error; when it is due is no part of the content. Default `error`.
   */
  readonly onRepeatedId?: "error" | "ignore";
}

export interface Call {
  readonly messages: readonly Message[];
  readonly options: AppendOptions;
}

/**
 * Tells `(a, b, c)` from `(a, options)` and `([a, b], options)`. A message always has a topic, options never. A call of any other
 * shape is refused, and so is an option that nobody knows: in JavaScript both compile, and a message or a lock would be missing.
 */
export function readCall(rest: readonly unknown[]): Call {
  const [first, second] = rest;
  const hasOptions = rest.length <= 2 && (second === undefined || isWithoutTopic(second));
  if (Array.isArray(first) && hasOptions) return { messages: first as readonly Message[], options: checkedOptions(second) };
  if (rest.length === 2 && hasOptions && !Array.isArray(first)) return { messages: [first as Message], options: checkedOptions(second) };
  const isMixed = rest.some((each) => Array.isArray(each) || (rest.length > 1 && isWithoutTopic(each)));
  throwConfigProblems("append", isMixed ? [{ option: "messages", problem: howToCall }] : []);
  return { messages: rest as readonly Message[], options: {} };
}

const howToCall =
  "give messages, append(tx, a, b), or one message or one array and then at most one object of options, append(tx, [a, b], { serialiseKey: true })";

function isWithoutTopic(given: unknown): given is object {
  return Object.prototype.toString.call(given) === "[object Object]" && !("topic" in (given as object));
}

function checkedOptions(given: object = {}): AppendOptions {
  const problems = Object.entries(given).flatMap(([option, value]: [string, unknown]): ConfigProblem[] => {
    if (option === "serialiseKey")
      return value === undefined || typeof value === "boolean" ? [] : [{ option, problem: "must be true or false" }];
    if (option === "onRepeatedId")
      return value === undefined || value === "error" || value === "ignore" ? [] : [{ option, problem: 'must be "error" or "ignore"' }];
    if (["deliverAt", "delayMs", "confirmBy", "withinMs"].includes(option)) return [];
    return [{ option, problem: "is none of the options: serialiseKey, onRepeatedId, deliverAt, delayMs, confirmBy and withinMs" }];
  });
  throwConfigProblems("append", [...problems, ...delayProblems(given), ...confirmProblems(given)]);
  return given;
}
