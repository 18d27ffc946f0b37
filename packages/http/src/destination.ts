/** Where the messages of a topic go: what a caller configures, checked, and what the transport works with. */
import type { ConfigProblem, Secret } from "@waybill/core";
import { parseAddress } from "./address.ts";
import { type TlsOptions, tlsProblem } from "./connections.ts";
import { allowedNetworkProblem, type DialGuard, dialGuard, isLoopbackHost, withoutBrackets } from "./dial-guard.ts";
import { areSigningSecrets } from "./signing-secrets.ts";

export interface HttpDestination {
  /**
   * `https://…` or `http://…`, without credentials. `{topic}` in its path or query is replaced by the message's topic. A host that
   * says loopback literally (`localhost`, `127.0.0.1`, `[::1]`) is dialled at loopback addresses only; any other host must have
   * public addresses, or ones in `allowNetworks`.
   */
  readonly url: string;
  /**
   * Signing secrets, made with `signingSecret`; two while one is being replaced: each request carries a signature of each.
   * None: unsigned, which is accepted for a loopback host only.
   */
  readonly secrets?: readonly Secret[];
  /**
   * Requests under way at once, and connections. Default 8. More: throughput at a receiver that is far away. Fewer: less load on a
   * receiver that is slow. Messages of one key are sent one after the other, whatever this says.
   */
  readonly concurrency?: number;
  /** Milliseconds for one request, from resolving the name to the last byte of the answer. Default 15 000. */
  readonly deadlineMs?: number;
  /** Private ranges that may be dialled: `["10.20.0.0/16"]`. Default none. Metadata services and link-local never may. */
  readonly allowNetworks?: readonly string[];
  /** Trust and identity for `https:`. Default: the well-known authorities, no certificate of our own. */
  readonly tls?: TlsOptions;
}

/** A destination that was checked. */
export interface CheckedDestination {
  urlOf(topic: string): URL | null;
  readonly secrets: readonly Secret[];
  readonly concurrency: number;
  readonly deadlineMs: number;
  readonly guard: DialGuard;
  readonly tls: TlsOptions;
}

const placeholder = "{topic}";
const secretsMax = 2;
const concurrencyMax = 256;
const deadlineMsMin = 50;
const deadlineMsMax = 600_000;

/** Checks a destination. What is wrong goes to `problems`, under the name that `option` makes of it; then there is none. */
export function checkDestination(
  destination: HttpDestination,
  option: (name: string) => string,
  problems: ConfigProblem[],
): CheckedDestination | null {
  const { url, secrets = [], concurrency = 8, deadlineMs = 15_000, allowNetworks = [], tls = {} } = destination;
  const found: ConfigProblem[] = [];
  const complain = (name: string, problem: string): void => void found.push({ option: option(name), problem });

  const networkRules = allowNetworks.map(allowedNetworkProblem).filter((rule) => rule !== null);
  for (const rule of new Set(networkRules)) complain("allowNetworks", `must be ${rule}`);
  if (!isWhole(concurrency, 1, concurrencyMax)) complain("concurrency", `must be a whole number from 1 to ${concurrencyMax}`);
  if (!isWhole(deadlineMs, deadlineMsMin, deadlineMsMax))
    complain("deadlineMs", `must be a whole number from ${deadlineMsMin} to ${deadlineMsMax}`);
  if (secrets.length > secretsMax) complain("secrets", `must be at most ${secretsMax}`);
  if (!areSigningSecrets(secrets)) complain("secrets", "each must be made with signingSecret");

  const tlsRule = tlsProblem(tls);
  if (tlsRule !== null) complain("tls", tlsRule);

  const example = exampleOf(url);
  if (typeof example === "string") complain("url", example);
  else if (networkRules.length === 0) {
    const isLoopbackOnly = isLoopbackHost(example.hostname);
    const guard = dialGuard({ allowNetworks, isLoopbackOnly });
    const host = withoutBrackets(example.hostname);
    if (parseAddress(host) !== null && !guard.permits(host))
      complain("url", "has an address that is not public: open it with allowNetworks");
    if (secrets.length === 0 && !isLoopbackOnly)
      complain("secrets", "give a signing secret: unsigned messages are sent to a loopback host only");
    if (found.length === 0) return { urlOf: (topic) => urlOf(url, topic), secrets, concurrency, deadlineMs, guard, tls };
  }
  problems.push(...found);
  return null;
}

/** The URL for some topic, or the rule that the URL breaks. */
function exampleOf(url: string): URL | string {
  const one = typeof url === "string" ? urlOf(url, "a") : null;
  const other = typeof url === "string" ? urlOf(url, "b") : null;
  if (one === null || other === null) return "must be a URL such as https://inventory.example/messages/{topic}";
  if (one.protocol !== "https:" && one.protocol !== "http:") return "must begin with https:// or http://";
  if (one.username !== "" || one.password !== "") return "must not hold credentials: requests are signed";
  if (one.hash !== "") return "must not have a fragment: it is never sent";
  // A message's topic must not choose whom we talk to.
  return one.origin === other.origin ? one : `may have ${placeholder} in its path or query only`;
}

/** Null if it is no URL, or if the topic would climb out of its place in the path. */
function urlOf(template: string, topic: string): URL | null {
  if (template.includes(placeholder) && /^\.{0,2}$/.test(topic)) return null;
  try {
    return new URL(template.replaceAll(placeholder, () => encodeURIComponent(topic)));
  } catch {
    return null; // no URL, or a topic with a lone surrogate
  }
}

function isWhole(value: number, min: number, max: number): boolean {
  return Number.isInteger(value) && value >= min && value <= max;
}
