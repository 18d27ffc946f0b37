import { createHash } from "node:crypto";
import type { Lane } from "./dead-letters.ts";

/**
 * What the table on MySQL keeps of a lane in `open_lane`: SHA-256 over the topic's length in bytes, a space, topic and key. Two lanes that
 * differ in anything – a trailing space, the case of a letter – have two digests, and no key is too long for one.
 */
export function laneDigest({ topic, key }: Lane): Uint8Array {
  return createHash("sha256")
    .update(`${Buffer.byteLength(topic)} `)
    .update(topic)
    .update(key)
    .digest();
}
