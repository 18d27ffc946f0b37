import { type Clock, type ConfigProblem, type HttpAnswer, type HttpCaller, systemClock, throwConfigProblems } from "@waybill/core";
import { connections, type TlsOptions, tlsProblem } from "./connections.ts";
import { allowedNetworkProblem, dialGuard } from "./dial-guard.ts";
import { exchange } from "./exchange.ts";

export interface HttpCallerOptions {
  /** Private ranges that may be dialled: `["10.20.0.0/16"]`. Default none. Metadata services and link-local never may. */
  readonly allowNetworks?: readonly string[];
  /** Default [443, 8443]. A URL with another port is not called. */
  readonly ports?: readonly number[];
  /** True: `http:` is called, too. Default false. */
  readonly allowPlain?: boolean;
  readonly tls?: TlsOptions;
  readonly clock?: Clock;
}

/**
 * Makes the port through which engines call URLs that somebody else configured: one fresh connection per call, to public addresses
 * and `allowNetworks` only, no redirect, no proxy from the environment. A URL that may not be called is `notSent`.
 *
 * @throws WAYBILL_CONFIG_INVALID
 */
export function httpCaller(options: HttpCallerOptions = {}): HttpCaller {
  const { allowNetworks = [], ports = [443, 8443], allowPlain = false, tls = {}, clock = systemClock } = options;
  const problems = allowNetworks.flatMap((range): readonly ConfigProblem[] => {
    const rule = allowedNetworkProblem(range);
    return rule === null ? [] : [{ option: "allowNetworks", problem: `must be ${rule}` }];
  });
  const tlsRule = tlsProblem(tls);
  throwConfigProblems("The HTTP caller", tlsRule === null ? problems : [...problems, { option: "tls", problem: tlsRule }]);
  const guard = dialGuard({ allowNetworks });

  return {
    async call(request, { deadlineMs, responseBytesMax }): Promise<HttpAnswer> {
      const url = URL.canParse(request.url) ? new URL(request.url) : null;
      const reason = url === null ? "urlInvalid" : refusalOf(url, ports, allowPlain);
      if (url === null || reason !== null) return { kind: "notSent", reason: reason ?? "urlInvalid" };
      const own = connections(guard, { isTls: url.protocol === "https:", tls, socketsMax: 1 });
      try {
        const { method, headers, body } = request;
        const length = body === null ? {} : { "content-length": String(body.byteLength) };
        const ended = await exchange(
          own,
          { method, url, headers: { ...headers, ...length }, body },
          { deadlineMs, responseBytesMax },
          clock,
        );
        if (ended.kind !== "answered") return { kind: ended.kind, reason: ended.reason };
        // Half an answer decides nothing.
        if (!ended.isWhole) return { kind: "unknown", reason: "responseIncomplete" };
        return { kind: "answered", status: ended.status, headers: plainHeaders(ended.headers), body: ended.body };
      } finally {
        own.destroy("closed");
      }
    },
  };
}

function refusalOf(url: URL, ports: readonly number[], allowPlain: boolean): string | null {
  if (url.protocol !== "https:" && !(allowPlain && url.protocol === "http:")) return "schemeRefused";
  if (url.username !== "" || url.password !== "") return "credentialsInUrl";
  const port = url.port === "" ? (url.protocol === "https:" ? 443 : 80) : Number(url.port);
  return ports.includes(port) ? null : "portRefused";
}

function plainHeaders(headers: Readonly<Record<string, string | readonly string[] | undefined>>): Record<string, string> {
  const plain: Record<string, string> = {};
  for (const [name, value] of Object.entries(headers))
    if (value !== undefined) plain[name] = typeof value === "string" ? value : value.join(", ");
  return plain;
}
