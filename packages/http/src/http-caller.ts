import { type Clock, type ConfigProblem, type HttpAnswer, type HttpCaller, systemClock, throwConfigProblems } from "@waybill/core";
import { connections, type TlsOptions, tlsProblem } from "./connections.ts";
import { allowedNetworkProblem, type DialGuard, dialGuard } from "./dial-guard.ts";
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
 * A call may bring a reach of its own, which takes the place of these options one by one. A range in it that is no network, or that is
 * never opened, opens nothing: the call is `notSent`, reason `networkRefused`.
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
  const ownGuard = dialGuard({ allowNetworks });

  return {
    async call(request, { deadlineMs, connectMs, responseBytesMax, takesPartialBody = false, mayWrite, reach = {} }): Promise<HttpAnswer> {
      const url = URL.canParse(request.url) ? new URL(request.url) : null;
      const reason = url === null ? "urlInvalid" : refusalOf(url, reach.ports ?? ports, reach.allowPlain ?? allowPlain);
      if (url === null || reason !== null) return { kind: "notSent", reason: reason ?? "urlInvalid" };
      const guard = reach.allowNetworks === undefined ? ownGuard : guardFor(reach.allowNetworks);
      if (guard === null) return { kind: "notSent", reason: "networkRefused" };
      const own = connections(guard, { isTls: url.protocol === "https:", tls, socketsMax: 1 });
      try {
        const { method, headers, body } = request;
        const length = body === null ? {} : { "content-length": String(body.byteLength) };
        const ended = await exchange(
          own,
          { method, url, headers: { ...headers, ...length }, body },
          { deadlineMs, responseBytesMax, mayWrite, ...(connectMs === undefined ? {} : { connectMs }) },
          clock,
        );
        if (ended.kind !== "answered") return { kind: ended.kind, reason: ended.reason };
        // Half an answer decides nothing, unless its status is all that is wanted.
        if (!ended.isWhole && !takesPartialBody) return { kind: "unknown", reason: "responseIncomplete" };
        return { kind: "answered", status: ended.status, headers: plainHeaders(ended.headers), body: ended.body };
      } finally {
        own.destroy("closed");
      }
    },
  };
}

/** Null if one of the ranges may not be opened: the others are then not opened either. */
function guardFor(allowNetworks: readonly string[]): DialGuard | null {
  return allowNetworks.every((range) => allowedNetworkProblem(range) === null) ? dialGuard({ allowNetworks }) : null;
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
