/**
 * The options of `half-message serve` as settings: each may also be given by flag or environment, and takes the place of what the file says under its name.
 * What is missing everywhere is the service's default.
 */
import type { Configuration } from "../configuration.ts";
import type { Json } from "../file-values.ts";
import {
  choice,
  jsonObject,
  jsonObjects,
  list,
  type Setting,
  secretObject,
  secretText,
  switchedOn,
  text,
  wholeNumber,
} from "../setting.ts";

const numbers: readonly (readonly [name: string, description: string, usual: string])[] = [
  ["pollMs", "serve: the longest wait between two looks at what is due", "1000"],
  ["connections", "serve: transactions at once", "8"],
  ["leaseMs", "serve: what a dead replica had claimed is claimed again after this long", "30000"],
  ["retentionMs", "serve: how long bodies and deliveries stay after the decision", "604800000, 7 days"],
  ["tombstoneMs", "serve: how long an id stays spent after the decision", "2592000000, 30 days"],
  ["deadRetentionMs", "serve: how long dead deliveries stay", "2592000000, 30 days"],
  ["logRetentionMs", "serve: how long the log of decisions stays", "34560000000, 400 days"],
  ["purgeEveryMs", "serve: how often what is old is deleted", "60000"],
  ["destinationGraceMs", "serve: how long a destination is waited for that is not configured any more", "300000"],
  ["maxBodyBytes", "serve: the body of a request", "4194304"],
  ["maxPayloadBytes", "serve: payload, headers and key of a message", "1000000"],
  ["maxMessages", "serve: messages under one id", "100"],
  ["signatureToleranceMs", "serve: how far a caller's clock may be off", "300000"],
  ["shutdownMs", "serve: after a signal, for what is under way", "10000"],
];
const switches: readonly (readonly [name: string, description: string])[] = [
  ["insecureDev", "serve: no keys, over loopback only"],
  ["tlsTerminated", "serve: plain HTTP beyond loopback, for what stands in front ends TLS"],
];

const scalars: readonly Setting<unknown>[] = [
  text("listen", "serve: host and port of the API", { placeholder: "HOST:PORT", defaultNote: "127.0.0.1:7420" }),
  text("admin", "serve: host and port of the admin API, or off", { placeholder: "HOST:PORT", defaultNote: "127.0.0.1:7421" }),
  ...numbers.map(([name, description, usual]) => wholeNumber(name, description, { defaultNote: usual })),
  choice("durability", "serve: whether a database is taken that acknowledges what a crash may lose", ["strict", "relaxed"], {
    defaultNote: "strict",
  }),
  // Nothing said is no answer here: the file may say true.
  ...switches.map(([name, description]) => ({ ...switchedOn(name, description), defaultText: null })),
  list("receiverAllowNetworks", "serve: private ranges in which receivers may be called", { placeholder: "RANGES", defaultNote: "none" }),
  secretText("receiverMasterSecret", "serve: what the secrets of receivers are derived from, 32 bytes or more"),
];
const structured: readonly Setting<unknown>[] = [
  jsonObjects("keys", "serve: the keys of callers"),
  secretObject("producers", "serve: producers, by name"),
  secretObject("destinations", "serve: destinations, by name"),
  jsonObject("routes", "serve: topic to destinations"),
  secretObject("tls", "serve: cert, key and ca, PEM"),
  jsonObject("receivers", "serve: how notifications go to all receivers"),
  secretObject("alertHook", "serve: the endpoint that is told of alerts"),
];

export const serveSettings: readonly Setting<unknown>[] = [...scalars, ...structured];

/** What flags and environment say, by the names of the file. */
export function givenOptions(configuration: Configuration): Json {
  const given = serveSettings.flatMap((setting) => {
    const value = configuration.get(setting);
    return value === null ? [] : [[setting.name, setting.name === "admin" && value === "off" ? null : value] as const];
  });
  return Object.fromEntries(given);
}
