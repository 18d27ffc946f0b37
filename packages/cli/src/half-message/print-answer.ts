import type { Configuration } from "../configuration.ts";
import { type ExitCode, exitCodes } from "../exit-codes.ts";
import { json } from "../settings.ts";
import { plain, printJson, printProgress } from "../terminal.ts";
import type { ServiceReply } from "./call-service.ts";

/** Prints what came, or what the service said against it. */
export function answer(
  configuration: Configuration,
  { status, body }: ServiceReply,
  print: (body: ServiceReply["body"]) => void,
): ExitCode {
  const isDone = status < 300;
  if (configuration.get(json)) printJson(isDone ? body : { error: body });
  else if (isDone) print(body);
  else printProgress(`waybill: ${wordOf(body.title)} (${wordOf(body.code)}, status ${status})`);
  return isDone ? exitCodes.done : exitCodes.failed;
}

/** Of an answer that may be nobody's of ours. */
function wordOf(value: unknown): string {
  return typeof value === "string" ? plain(value) : "the answer is not the service's";
}
