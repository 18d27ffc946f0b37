/**
 * From the destinations of a service's file to transports: `"kafka": "kafka://…"`, or an object with `transport` and beside it what that kind of transport
 * takes – the settings of `waybill relay`, by their names – and what the service is to do with the destination.
 */
import { type ConfigProblem, isWaybillError, type OnEvent, throwConfigProblems } from "@waybill/core";
import type { DestinationOptions } from "@waybill/half-message";
import { readConfiguration } from "../configuration.ts";
import { isObject, textOfSecret } from "../file-values.ts";
import { loadTransport } from "../load-transport.ts";
import type { Setting } from "../setting.ts";
import { topics, transport, transportOptions, transportSettings } from "../settings.ts";

/** What one transport takes, by name. Topics are the service's business. */
const ofTransport: ReadonlyMap<string, Setting<unknown>> = new Map(
  [transport, transportOptions, ...transportSettings].filter(({ name }) => name !== topics.name).map((setting) => [setting.name, setting]),
);

/** @throws WAYBILL_CONFIG_INVALID with what is wrong with all of them; then none is open */
export async function loadDestinations(value: unknown, onEvent: OnEvent): Promise<Readonly<Record<string, DestinationOptions>>> {
  const problems: ConfigProblem[] = [];
  const loaded: Record<string, DestinationOptions> = {};
  for (const [name, destination] of Object.entries(isObject(value) ? value : {})) {
    const given = typeof destination === "string" ? { transport: destination } : destination;
    if (isObject(given)) {
      const made = await load(`destinations.${name}`, given, onEvent, problems);
      if (made !== null) loaded[name] = made;
    } else problems.push({ option: `destinations.${name}`, problem: "must be a transport, or an object with one" });
  }
  if (problems.length > 0) await Promise.all(Object.values(loaded).map((each) => each.transport.close({ deadlineMs: 1_000 })));
  throwConfigProblems("The half-message service", problems);
  return loaded;
}

async function load(
  at: string,
  given: Readonly<Record<string, unknown>>,
  onEvent: OnEvent,
  problems: ConfigProblem[],
): Promise<DestinationOptions | null> {
  const flags: Record<string, string> = {};
  const others: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(given)) {
    if (!ofTransport.has(name)) others[name] = value;
    else flags[name] = textOf(value) ?? "";
  }
  const settings = [...ofTransport.values()];
  const configuration = readConfiguration({
    settings,
    knownNames: new Set(ofTransport.keys()),
    flags,
    environment: {},
    readFile: () => {
      throw new Error("A destination names no file of settings.");
    },
  });
  try {
    const made = await loadTransport(configuration, onEvent);
    const { transport: opened } = configuration.checked({ transport: made?.transport ?? null });
    return { ...others, transport: opened };
  } catch (error) {
    if (isWaybillError(error, "WAYBILL_CONFIG_INVALID")) {
      for (const { option, problem } of error.facts.problems) problems.push({ option: `${at} ${option}`, problem });
    } else if (isWaybillError(error, "WAYBILL_TRANSPORT_UNKNOWN")) problems.push({ option: at, problem: error.facts.problem });
    else throw error;
    return null;
  }
}

/** As the settings read it: text, whatever it was in JSON. */
function textOf(value: unknown): string | null {
  if (typeof value === "number" || typeof value === "boolean") return String(value);
  if (Array.isArray(value)) return value.map((each) => textOf(each) ?? "").join(",");
  return textOfSecret(value) ?? (isObject(value) ? JSON.stringify(value) : null);
}
