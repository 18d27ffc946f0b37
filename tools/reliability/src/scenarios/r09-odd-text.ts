/**
 * R09. Odd text and bytes in payload, key, header name and header value: each is refused at append with its field named, or arrives as it was. Nothing is
 * changed on the way without a word.
 */
import { isWaybillError, newMessageId } from "@waybill/core";
import { append } from "@waybill/outbox";
import { openDelivery } from "../delivery.ts";
import { startEndpoint } from "../endpoint.ts";
import { intentOf, type NewNote, noted, openSession } from "../own-transactions.ts";
import { scenario } from "../scenario.ts";

const texts: Readonly<Record<string, string>> = {
  "U+0000": "a\u0000b",
  "half of a surrogate pair": "a\ud83d",
  emoji: "🧾👩‍👩‍👧‍👦",
  "CR and LF": "a\r\nx-injected: 1\r\n\r\nb",
  "a tab and a bell": "a\tb\u0007",
  "text of two directions": "\u202eabc\u202c",
  "text that can be composed": "e\u0301 \u00e9",
  percent: "100%25 %0d%0a",
  quotes: `a"b'c\\d`,
  "64 KiB": "x".repeat(65_536),
  "the last of Unicode": "\u{10ffff}",
  spaces: " a ",
};
const places = ["payload", "key", "header name", "header value"] as const;

const noteOf = (place: (typeof places)[number], text: string): NewNote => {
  switch (place) {
    case "payload":
      return { key: null, payload: { text } };
    case "key":
      return { key: text };
    case "header name":
      return { key: null, headers: { [text]: "value" } };
    case "header value":
      return { key: null, headers: { odd: text } };
  }
};

/** What an error must name, by the place of what is wrong. */
const codes: Readonly<Record<(typeof places)[number], readonly string[]>> = {
  payload: ["WAYBILL_PAYLOAD_NOT_JSON", "WAYBILL_PAYLOAD_INVALID", "WAYBILL_PAYLOAD_TOO_LARGE", "WAYBILL_MESSAGE_INVALID"],
  key: ["WAYBILL_MESSAGE_INVALID"],
  "header name": ["WAYBILL_HEADERS_INVALID"],
  "header value": ["WAYBILL_HEADERS_INVALID"],
};

export const oddText = scenario({
  code: "R09",
  title: "odd text in payload, key or header is refused at append with its field named, or arrives as it was",
  databases: ["postgres", "mariadb", "mysql"],
  brokers: [],
  scaled: { rounds: 2 },
  full: { rounds: 50 },
  async play(rig, { rounds }) {
    const endpoint = await startEndpoint();
    rig.defer(() => endpoint.stop());
    const delivery = await openDelivery(rig, { transport: endpoint.url, received: () => endpoint.received });
    const session = await openSession(rig, delivery);
    await delivery.relay.start();
    const headers = new Map<string, string>();
    let [refused, taken] = [0, 0];
    for (let round = 0; round < rounds; round += 1) {
      for (const place of places) {
        for (const [what, text] of Object.entries(texts)) {
          const note = noteOf(place, text);
          const id = newMessageId();
          await session.run("begin");
          try {
            const made = noted(note, id);
            await session.run("insert into note values (?)", [id]);
            await append(session.handle, made);
            await session.run("commit");
            taken += 1;
            delivery.intend(intentOf(note, made, id, "committed"));
            if (place === "header value") headers.set(id, text);
          } catch (error) {
            await session.run("rollback");
            refused += 1;
            const code = isWaybillError(error) ? error.code : "another error";
            rig.demand(`${what} in a ${place}: ${code}`, codes[place].includes(code));
            if (isWaybillError(error, "WAYBILL_MESSAGE_INVALID"))
              rig.demand(`${what} in a ${place}: field ${error.facts.field}`, error.facts.field === place);
          }
        }
      }
    }
    await delivery.isQuiet();
    for (const { messageId, headers: came } of endpoint.arrivals) {
      const sent = headers.get(messageId);
      if (sent === undefined) continue;
      const value = came["odd"];
      rig.demand("a header's value is another than was appended", typeof value === "string" && decodeURIComponent(value) === sent);
    }
    await delivery.end();
    rig.effort("texts that were refused", refused, rounds * 4);
    rig.effort("texts that arrived", taken, rounds * 10);
    rig.effort("odd header values that arrived", headers.size, rounds);
  },
});
