import type { OutgoingMessage } from "./message.ts";

/**
 * The places in a batch, by topic and in lanes: messages that share topic and key one behind the other, every other one by itself.
 * Topics, the lanes of a topic and the places in a lane are in the order in which the batch has them.
 */
export function lanesByTopic(batch: readonly OutgoingMessage[]): ReadonlyMap<string, readonly (readonly number[])[]> {
  const topics = new Map<string, { readonly lanes: number[][]; readonly byKey: Map<string, number[]> }>();
  for (const [place, { topic, key }] of batch.entries()) {
    let found = topics.get(topic);
    if (found === undefined) topics.set(topic, (found = { lanes: [], byKey: new Map() }));
    const lane = key === null ? undefined : found.byKey.get(key);
    if (lane !== undefined) {
      lane.push(place);
      continue;
    }
    const opened = [place];
    found.lanes.push(opened);
    if (key !== null) found.byKey.set(key, opened);
  }
  return new Map([...topics].map(([topic, { lanes }]) => [topic, lanes]));
}
