import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { type AddressInfo, isIPv6 } from "node:net";
import { expositionType, waybillError } from "@waybill/core";
import type { ProcessReadiness, Readiness } from "./readiness.ts";

export interface AdminServerOptions {
  readonly host: string;
  /** 0: any free one. */
  readonly port: number;
  readonly readiness: () => Readiness | ProcessReadiness;
  readonly metrics: () => Promise<string>;
}

export interface AdminServer {
  readonly url: string;
  /** Ends every connection at once. */
  close(): Promise<void>;
}

/** Where to listen, or null for `off`; undefined if the text is neither. */
export function parseAdmin(text: string): { readonly host: string; readonly port: number } | null | undefined {
  if (text === "off") return null;
  const [, bracketed, host = bracketed, port] = /^(?:\[([0-9a-fA-F:.]+)\]|([^:[\]\s]+)):([0-9]{1,5})$/.exec(text) ?? [];
  if (host === undefined || Number(port) > 65_535 || (bracketed !== undefined && !isIPv6(bracketed))) return undefined;
  return { host, port: Number(port) };
}

/**
 * Serves `/livez` (this process answers), `/readyz` (messages move) and `/metrics`. It shows no message and changes nothing; still,
 * keep it off the public network.
 *
 * @throws WAYBILL_CONFIG_INVALID if it cannot listen there
 */
export async function startAdminServer({ host, port, readiness, metrics }: AdminServerOptions): Promise<AdminServer> {
  const answer = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const path = request.url?.split("?")[0];
    if (request.method !== "GET" && request.method !== "HEAD")
      return respond(response, 405, "text/plain", "GET only\n", { allow: "GET, HEAD" });
    if (path === "/livez") return respond(response, 200, "text/plain", "alive\n");
    if (path === "/metrics") return respond(response, 200, expositionType, await metrics());
    if (path !== "/readyz") return respond(response, 404, "text/plain", "/livez, /readyz or /metrics\n");
    const found = readiness();
    respond(response, found.isReady ? 200 : 503, "application/json", `${JSON.stringify(shownReadiness(found))}\n`);
  };
  const server = createServer({
    headersTimeout: 5_000,
    requestTimeout: 10_000,
    connectionsCheckingInterval: 1_000,
    keepAliveTimeout: 5_000,
  });
  server.maxConnections = 64;
  server.on("request", (request, response) => {
    answer(request, response).catch(() => response.destroy());
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", (error) => {
      const problem = `cannot listen there (${"code" in error ? String(error.code) : "unknown"}); choose another port, port 0 for any free one, or off`;
      reject(waybillError("WAYBILL_CONFIG_INVALID", `The admin server ${problem}.`, { problems: [{ option: "admin", problem }] }, error));
    });
    server.listen({ host, port }, resolve);
  });
  const address = server.address() as AddressInfo;
  const shown = address.family === "IPv6" ? `[${address.address}]` : address.address;
  return {
    url: `http://${shown}:${address.port}`,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

function shownReadiness(found: Readiness | ProcessReadiness): object {
  const { isReady: ready, reasons } = found;
  if ("state" in found) return { ready, state: found.state, reasons };
  return { ready, reasons, relays: found.relays.map(({ name, ...one }) => ({ name, ...shownReadiness(one) })) };
}

function respond(
  response: ServerResponse,
  status: number,
  type: string,
  text: string,
  headers: Readonly<Record<string, string>> = {},
): void {
  response.writeHead(status, { "content-type": type, "content-length": String(Buffer.byteLength(text)), ...headers }).end(text);
}
