import type { OutgoingMessage } from "@waybill/core";

const source: readonly [string, string] = ["ce-source", "/contract"];
const everyByte = Uint8Array.from({ length: 256 }, (_, byte) => byte);

/** Messages within the limits that some encoding on the way is likely to change; by what is odd about them. */
export const oddMessages: readonly { readonly oddity: string; readonly given: Partial<OutgoingMessage> }[] = [
  {
    oddity: "JSON with spaces, a repeated name and a long number",
    given: { payload: Buffer.from(' { "a" : 1.0, "a":12345678901234567890 }\n') },
  },
  { oddity: "text that begins like JSON and is none", given: { payload: Buffer.from('{"a":') } },
  {
    oddity: "every byte there is",
    given: { payload: everyByte, headers: new Map([source, ["content-type", "application/octet-stream"]]) },
  },
  { oddity: "bytes that are a view into something larger", given: { payload: everyByte.subarray(100, 110) } },
  { oddity: "a byte order mark", given: { payload: Buffer.from("\uFEFF{}") } },
  { oddity: "an empty payload", given: { payload: new Uint8Array(0) } },
  { oddity: "a tombstone", given: { payload: null, key: "removed" } },
  { oddity: "no content type", given: { headers: new Map([source]) } },
  { oddity: "headers beyond ASCII", given: { headers: new Map([source, ["greeting", "Grüße, 世界 🚚"]]) } },
  { oddity: "headers with percent signs, quotes and commas", given: { headers: new Map([source, ["odd", '100%25 "a", b; c=%zz']]) } },
  {
    oddity: "headers with spaces around and with nothing in them",
    given: { headers: new Map([source, ["spaces", "  x  "], ["empty", ""]]) },
  },
  { oddity: "a header's name of 64 characters", given: { headers: new Map([source, ["n".repeat(64), "v"]]) } },
  {
    oddity: "a trace",
    given: {
      headers: new Map([
        source,
        ["traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"],
        ["tracestate", "vendor=a:b,other=1"],
        ["baggage", "user=a%20b,plan=gold"],
      ]),
    },
  },
  { oddity: "a key beyond ASCII", given: { key: 'Käufer 世界/%25 "1"' } },
  { oddity: "a key of 255 bytes", given: { key: "k".repeat(255) } },
  { oddity: "a sequence beyond 53 bits", given: { sequence: 9_007_199_254_740_993n } },
  { oddity: "900 000 bytes", given: { payload: Buffer.alloc(900_000, "x") } },
];
