/** Calls to the admin port of a half-message service, signed with an operator's key. */
import { systemClock, waybillError } from "@waybill/core";
import { createServiceClient, type ServiceClient } from "@waybill/half-message";
import type { Configuration } from "../configuration.ts";
import type { Setting } from "../setting.ts";
import { keyId, keySecret, service } from "../settings.ts";

/** What every such command takes. */
export const serviceSettings: readonly Setting<unknown>[] = [service, keyId, keySecret];

export interface ServiceReply {
  readonly status: number;
  readonly body: Readonly<Record<string, unknown>>;
}

export type CallService = (method: "GET" | "POST", target: string, body?: object) => Promise<ServiceReply>;

const deadlineMs = 10_000;

/** A client of the service; null if something is wrong with its settings. */
export function serviceClientOf(configuration: Configuration): ServiceClient | null {
  const [id, secret] = [configuration.get(keyId), configuration.get(keySecret)];
  if (id === null) configuration.complain(keyId.name, "is needed");
  if (secret === null) configuration.complain(keySecret.name, "is needed");
  const url = configuration.get(service) ?? "http://127.0.0.1:7421";
  return configuration.make(
    () => (id === null || secret === null ? null : createServiceClient({ service: { url, key: { id, secret } }, clock: systemClock })),
    (option) => names[option] ?? option,
  );
}

/**
 * Makes the call, once: whoever asks again decides so himself. A refusal is an answer.
 *
 * @throws WAYBILL_CONFIG_INVALID; WAYBILL_DEADLINE if nobody answered
 */
export function serviceCaller(configuration: Configuration): CallService {
  const { client } = configuration.checked({ client: serviceClientOf(configuration) });
  return async (method, target, body) => {
    const answer = await client.call({ method, target, body: body === undefined ? null : JSON.stringify(body) }, deadlineMs);
    client.close();
    if (answer.kind === "answered") return { status: answer.status, body: (answer.body ?? {}) as Readonly<Record<string, unknown>> };
    const operation = "a call of the half-message service";
    const done = answer.kind === "notSent" ? "nothing was done" : "it may have been done: look before you call again";
    throw waybillError("WAYBILL_DEADLINE", `The service did not answer (${answer.reason}); ${done}.`, { operation, deadlineMs });
  };
}

const names: Readonly<Record<string, string>> = {
  "service.url": service.name,
  "service.key.id": keyId.name,
  "service.key.secret": keySecret.name,
};
