/** What a relay's admin server says about itself. */
import { get } from "node:http";

export interface SaidReadiness {
  readonly isReady: boolean;
  readonly reasons: readonly string[];
}

const answerDeadlineMs = 5_000;

/** Asks `/readyz` at `host:port`. Nobody answers: not ready, and no reason is known. */
export function readReadiness(at: string): Promise<SaidReadiness> {
  return new Promise((resolve) => {
    const unknown: SaidReadiness = { isReady: false, reasons: [] };
    const request = get(`http://${at}/readyz`, { timeout: answerDeadlineMs }, (response) => {
      let text = "";
      response.setEncoding("utf8").on("data", (part: string) => {
        text += part;
      });
      response.on("error", () => resolve(unknown));
      response.on("end", () => {
        const said: unknown = JSON.parse(text);
        const isListed = typeof said === "object" && said !== null && "reasons" in said && Array.isArray(said.reasons);
        resolve({ isReady: response.statusCode === 200, reasons: isListed ? (said.reasons as readonly unknown[]).map(String) : [] });
      });
    });
    request.on("timeout", () => request.destroy());
    request.on("error", () => resolve(unknown));
  });
}
