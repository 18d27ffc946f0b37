/** TLS towards the brokers, for whichever library dials. */
import { type ConnectionOptions, createSecureContext } from "node:tls";
import type { KafkaTls } from "./connection-options.ts";

/** Node's options for a connection whose other end is always verified. */
export function tlsOptions({ ca, cert, key, servername }: KafkaTls): ConnectionOptions {
  return {
    rejectUnauthorized: true,
    ...(ca === undefined ? {} : { ca: typeof ca === "string" ? ca : [...ca] }),
    ...(cert === undefined ? {} : { cert }),
    ...(key === undefined ? {} : { key: typeof key === "string" ? key : key.reveal() }),
    ...(servername === undefined ? {} : { servername }),
  };
}

/** The rule that TLS options break, or null. The library's own words are left out, for they are about a key. */
export function tlsProblem(tls: KafkaTls): string | null {
  if ((tls.cert === undefined) !== (tls.key === undefined)) return "needs cert and key together, or neither";
  try {
    createSecureContext(tlsOptions(tls));
    return null;
  } catch {
    return "must be PEM: the authorities as ca, a certificate as cert and the private key that belongs to it, not encrypted, as key";
  }
}
