/**
 * MurmurHash2, 32 bits, with the seed of Kafka's Java client: what decides the partition of a key there, and so here, whatever
 * carries the message. Never change it: the same key in two partitions has lost its order.
 *
 * The algorithm is Austin Appleby's, in the public domain; four bytes at a time, little-endian.
 */
const seed = 0x9747b28c;
const multiplier = 0x5bd1e995;

/** The hash as a signed 32-bit number, as Java has it. */
export function murmur2(bytes: Uint8Array): number {
  const { length } = bytes;
  const byteAt = (place: number): number => bytes[place] ?? 0;
  let hash = seed ^ length;
  let place = 0;
  for (; place + 4 <= length; place += 4) {
    let word = byteAt(place) | (byteAt(place + 1) << 8) | (byteAt(place + 2) << 16) | (byteAt(place + 3) << 24);
    word = Math.imul(word, multiplier);
    word ^= word >>> 24;
    word = Math.imul(word, multiplier);
    hash = Math.imul(hash, multiplier) ^ word;
  }
  const rest = length - place;
  if (rest >= 3) hash ^= byteAt(place + 2) << 16;
  if (rest >= 2) hash ^= byteAt(place + 1) << 8;
  if (rest >= 1) hash = Math.imul(hash ^ byteAt(place), multiplier);
  hash ^= hash >>> 13;
  hash = Math.imul(hash, multiplier);
  hash ^= hash >>> 15;
  return hash | 0;
}

/** The partition of a key, 0 to `partitions - 1`, by the rule of Kafka's Java client. */
export function partitionOfKey(key: string, partitions: number): number {
  return (murmur2(Buffer.from(key, "utf8")) & 0x7fffffff) % partitions;
}
