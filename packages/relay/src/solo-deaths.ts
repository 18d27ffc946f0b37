/** How often relays died of which message, as every database holds it: JSON, id → deaths. */
import type { SoloDeaths } from "./subscriptions.ts";

export function encodeDeaths(deaths: SoloDeaths): string {
  return JSON.stringify(Object.fromEntries([...deaths].map(([id, count]) => [String(id), count])));
}

export function decodeDeaths(text: string): SoloDeaths {
  return new Map(Object.entries(JSON.parse(text) as Record<string, number>).map(([id, count]) => [BigInt(id), count]));
}
