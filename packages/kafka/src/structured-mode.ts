/**
 * CloudEvents 1.0, JSON format, structured mode: the whole envelope is the record's value, and what a producer called `data` is the payload.
 *
 *     {"specversion":"1.0","id":"…","type":"…","source":"…","data":{"amount":12345678901234567890}}
 *                                                           └ taken as it is written, byte for byte: parsing would round the number
 */

export interface StructuredEvent {
  readonly attributes: ReadonlyMap<string, string>;
  readonly contentType: string | null;
  /** null: there is no `data`. */
  readonly payload: Uint8Array | null;
}

/** True if the content type says that the value is a CloudEvent in JSON. */
export function isStructured(contentType: string | undefined): boolean {
  return contentType !== undefined && /^application\/cloudevents\+json *(;|$)/i.test(contentType);
}

/** Reads an event, or answers null if it is none. */
export function readStructured(value: Uint8Array): StructuredEvent | null {
  try {
    const text = new TextDecoder("utf-8", { fatal: true }).decode(value);
    const event: unknown = JSON.parse(text);
    if (typeof event !== "object" || event === null || Array.isArray(event)) return null;
    return eventOf(text, event as Readonly<Record<string, unknown>>);
  } catch {
    return null; // No UTF-8, no JSON, or nested more deeply than can be read.
  }
}

function eventOf(text: string, event: Readonly<Record<string, unknown>>): StructuredEvent | null {
  const { data, data_base64: base64, datacontenttype, ...others } = event;
  if (data !== undefined && base64 !== undefined) return null;
  if (datacontenttype !== undefined && typeof datacontenttype !== "string") return null;
  const attributes = new Map<string, string>();
  for (const [name, value] of Object.entries(others)) {
    if (typeof value === "string" || typeof value === "number" || typeof value === "boolean") attributes.set(name, String(value));
  }
  const contentType = datacontenttype ?? (data === undefined ? null : "application/json");
  if (base64 !== undefined) {
    if (typeof base64 !== "string" || !/^[A-Za-z0-9+/]*={0,2}$/.test(base64)) return null;
    return { attributes, contentType, payload: Buffer.from(base64, "base64") };
  }
  if (data === undefined) return { attributes, contentType, payload: null };
  const isText = typeof data === "string" && !/[/+]json\b/i.test(contentType ?? "");
  return { attributes, contentType, payload: Buffer.from(isText ? data : lastMember(text, "data"), "utf8") };
}

/**
 * The text of the last member of that name at the top of a JSON object, as it is written. The text is known to be JSON, so strings and
 * brackets are all that has to be told apart.
 */
function lastMember(json: string, name: string): string {
  let found = "";
  let depth = 0;
  let key: string | null = null;
  let valueAt = 0;
  const endValue = (end: number): void => {
    if (key === name) found = json.slice(valueAt, end).trim();
    key = null;
  };
  for (let at = 0; at < json.length; at += 1) {
    const character = json[at];
    if (character === '"') {
      const from = at;
      for (at += 1; json[at] !== '"'; at += 1) if (json[at] === "\\") at += 1;
      if (depth === 1 && key === null) key = JSON.parse(json.slice(from, at + 1)) as string;
    } else if (character === ":" && depth === 1 && valueAt <= at) valueAt = at + 1;
    else if (character === "," && depth === 1) endValue(at);
    else if (character === "{" || character === "[") depth += 1;
    else if (character === "}" || character === "]") {
      depth -= 1;
      if (depth === 0) endValue(at);
    }
  }
  return found;
}
