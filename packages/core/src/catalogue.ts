/**
 * The typed list of a service's messages: what each is called on the wire, where it goes, what keeps its order, what it carries.
 *
 *     const shop = catalogue({
 *       source: "/order-service",
 *       orderPlaced: message<OrderPlaced>({ type: "shop.order.placed.v1", topic: "orders", key: (order) => order.orderId }),
 *     });
 *     await append(trx, shop.orderPlaced({ orderId, totalCents }));
 *     inbox.on(shop.orderPlaced, async (placed, tx) => { … placed.payload.totalCents … });
 *
 * An entry is a function that makes a message, and carries its definition for whoever receives it.
 */
import { type ConfigProblem, throwConfigProblems, waybillError, type PayloadIssue } from "./errors.ts";
import { sourceHeader, validateHeaders } from "./headers.ts";
import { decodeJson, encodeJson } from "./json.ts";
import { limits } from "./limits.ts";
import type { Message } from "./message.ts";
import { ownMessageId } from "./message-id.ts";
import type { SchemaInput, SchemaOutput, StandardSchema } from "./standard-schema.ts";
import { hasControlCharacter, isWellFormed, utf8Bytes } from "./text.ts";
import { traceHeaders, type TraceContext } from "./trace-context.ts";

/** What every message of a type has in common. */
export interface MessageOptions<Payload> {
  /** On the wire, such as `shop.order.placed.v1`: never renamed, never reused. At most 255 bytes. */
  readonly type: string;
  /** Logical destination: 1 to 249 of `A-Z a-z 0-9 . _ -`. */
  readonly topic: string;
  /** Messages of one topic that share it keep their order. Left out: no order. */
  readonly key?: (payload: Payload) => string | null;
  /** Default `application/json`. With another one the payload is given as `string` or `Uint8Array` and travels as it is. */
  readonly contentType?: string;
}

/** Made by `message`, given a name by `catalogue`. */
export interface MessageDefinition<Input, Output = Input> {
  readonly options: MessageOptions<Input> & { readonly payload?: StandardSchema };
  /** Carries the payload's types; never set. */
  readonly payloadTypes?: (input: Input) => Output;
}

/** What may differ from message to message of a type. */
export interface MessageDetails {
  /** An id of your own, a UUID: appending it a second time is an error, or a no-op if `append` is told so. */
  readonly id?: string;
  /** Sent beside the payload. Grammar and limits: `validateHeaders`. */
  readonly headers?: Readonly<Record<string, string>>;
  /** The trace the message belongs to: kept to the handler, whether sampled or not. */
  readonly trace?: TraceContext;
}

/** An entry of a catalogue: makes messages of one type, and reads them. */
export interface MessageType<Input, Output = Input> {
  /**
   * Makes a message. The payload is validated and encoded here, so that a mistake surfaces where it was made.
   *
   * @throws WAYBILL_PAYLOAD_INVALID, WAYBILL_PAYLOAD_NOT_JSON, WAYBILL_PAYLOAD_TOO_LARGE, WAYBILL_HEADERS_INVALID, WAYBILL_MESSAGE_INVALID
   */
  (payload: Input, details?: MessageDetails): Message;
  readonly type: string;
  readonly topic: string;
  /**
   * Reads the payload of a received message: parsed once, validated if the type has a schema.
   *
   * @throws WAYBILL_PAYLOAD_INVALID, WAYBILL_PAYLOAD_NOT_JSON
   */
  read(payload: Uint8Array | null): Output;
}

/** Defines a message type. With `payload`, a Standard Schema, the payload's types are the schema's. */
export function message<Schema extends StandardSchema>(
  options: MessageOptions<SchemaInput<Schema>> & { readonly payload: Schema },
): MessageDefinition<SchemaInput<Schema>, SchemaOutput<Schema>>;
/** Defines a message type whose payload is trusted to be what TypeScript says. */
export function message<Payload>(options: MessageOptions<Payload>): MessageDefinition<Payload>;
export function message<Payload>(options: MessageOptions<Payload> & { readonly payload?: StandardSchema }): MessageDefinition<Payload> {
  return { options };
}

type Entries = Readonly<Record<string, MessageDefinition<never, unknown>>>;

/** The finished catalogue: every definition has become a callable entry. */
export type Catalogue<Definitions> = {
  readonly [Name in keyof Definitions as Name extends "source" ? never : Name]: Definitions[Name] extends MessageDefinition<infer Input, infer Output>
    ? MessageType<Input, Output>
    : never;
};

/**
 * Makes a catalogue. `source` names the service that sends (CloudEvents' `source`, a URI reference such as `/order-service`).
 *
 * @throws WAYBILL_CONFIG_INVALID lists every definition that breaks the grammar, and every type defined twice
 */
export function catalogue<const Definitions extends { readonly source: string } & Readonly<Record<string, unknown>>>(
  definitions: Definitions & { readonly [Name in Exclude<keyof Definitions, "source">]: MessageDefinition<never, unknown> },
): Catalogue<Definitions> {
  const { source, ...entries } = definitions;
  throwConfigProblems("The catalogue", [...sourceProblems(source), ...entryProblems(entries as Entries)]);
  const made = Object.entries(entries as Entries).map(([name, definition]) => [name, messageType(source, definition)]);
  return Object.freeze(Object.fromEntries(made)) as Catalogue<Definitions>;
}

/**
 * The entry of a message type that is only known at run time.
 *
 * @throws WAYBILL_MESSAGE_TYPE_UNKNOWN
 */
export function messageOfType(catalogue: Readonly<Record<string, MessageType<never, unknown>>>, type: string): MessageType<never, unknown> {
  const found = Object.values(catalogue).find((entry) => entry.type === type);
  if (found !== undefined) return found;
  throw waybillError("WAYBILL_MESSAGE_TYPE_UNKNOWN", `The catalogue has no message type ${JSON.stringify(type)}; add it, or deploy the version that has it.`, { type });
}

function sourceProblems(source: string): ConfigProblem[] {
  const isUsable = typeof source === "string" && /^[\x21-\x7e]{1,255}$/.test(source);
  return isUsable ? [] : [{ option: "source", problem: "a URI reference of 1 to 255 printable ASCII characters, such as /order-service" }];
}

function entryProblems(entries: Entries): ConfigProblem[] {
  const problems: ConfigProblem[] = [];
  const seen = new Map<string, string>();
  for (const [name, { options }] of Object.entries(entries)) {
    const typeRule = typeProblem(options.type);
    if (typeRule !== null) problems.push({ option: `${name}.type`, problem: typeRule });
    const topicRule = topicProblem(options.topic);
    if (topicRule !== null) problems.push({ option: `${name}.topic`, problem: topicRule });
    const twin = seen.get(options.type);
    if (twin !== undefined) problems.push({ option: `${name}.type`, problem: `${options.type} is already the type of ${twin}` });
    seen.set(options.type, name);
  }
  return problems;
}

/** The rule that a message type's name breaks, or null. */
export function typeProblem(type: string): string | null {
  const isUsable = typeof type === "string" && type !== "" && utf8Bytes(type) <= limits.typeBytesMax && isWellFormed(type) && !hasControlCharacter(type);
  return isUsable ? null : `1 to ${limits.typeBytesMax} bytes without control characters`;
}

/** The rule that a topic's name breaks, or null. */
export function topicProblem(topic: string): string | null {
  const isUsable = typeof topic === "string" && topic.length <= limits.topicLengthMax && /^[A-Za-z0-9._-]+$/.test(topic);
  return isUsable ? null : `1 to ${limits.topicLengthMax} of A-Z, a-z, 0-9, '.', '_' and '-'`;
}

/** The rule that a key breaks, or null. */
export function keyProblem(key: string): string | null {
  const isUsable = utf8Bytes(key) <= limits.keyBytesMax && isWellFormed(key) && !hasControlCharacter(key);
  return isUsable ? null : `at most ${limits.keyBytesMax} bytes without control characters or lone surrogates`;
}

const jsonContentType = "application/json";

function messageType(source: string, definition: MessageDefinition<never, unknown>): MessageType<never, unknown> {
  const options = definition.options as MessageOptions<unknown> & { readonly payload?: StandardSchema };
  const contentType = options.contentType ?? jsonContentType;
  const isJson = contentType === jsonContentType || contentType.startsWith(`${jsonContentType};`) || /\+json(;|$)/.test(contentType);

  const make = (payload: unknown, details: MessageDetails = {}): Message => {
    if (options.payload !== undefined && payload !== null) validate(options.type, options.payload, payload);
    const key = payload === null ? null : (options.key?.(payload) ?? null);
    const made: Message = {
      ownId: details.id === undefined ? null : ownMessageId(details.id),
      type: options.type,
      topic: options.topic,
      key,
      headers: new Map([
        ...validateHeaders({ ...details.headers, ...traceHeaders(details.trace) }),
        [sourceHeader, source],
        ["content-type", contentType],
      ]),
      payload: isJson ? (payload === null ? null : encodeJson(options.type, payload)) : rawPayload(options.type, payload),
    };
    checkSize(made);
    return Object.freeze(made);
  };

  const read = (payload: Uint8Array | null): unknown => {
    if (payload === null) return null;
    const parsed = isJson ? decodeJson(options.type, payload) : payload;
    return options.payload === undefined ? parsed : validate(options.type, options.payload, parsed);
  };
  return Object.freeze(Object.assign(make, { type: options.type, topic: options.topic, read }));
}

function rawPayload(type: string, payload: unknown): string | Uint8Array | null {
  if (payload === null || payload instanceof Uint8Array) return payload;
  if (typeof payload === "string" && isWellFormed(payload)) return payload;
  throw waybillError("WAYBILL_MESSAGE_INVALID", `The payload of ${type} must be well-formed text, a Uint8Array or null.`, {
    field: "payload",
    rule: "text, bytes or null",
  });
}

/** Checks key and size once more where the message was not made by a catalogue: `append` calls this too. */
export function checkSize(message: Message): void {
  if (message.key !== null) {
    const rule = keyProblem(message.key);
    if (rule !== null) throw waybillError("WAYBILL_MESSAGE_INVALID", `The key of a ${message.type} message must be ${rule}.`, { field: "key", rule });
  }
  const payloadBytes = message.payload === null ? 0 : typeof message.payload === "string" ? utf8Bytes(message.payload) : message.payload.byteLength;
  let bytes = payloadBytes + (message.key === null ? 0 : utf8Bytes(message.key));
  for (const [name, value] of message.headers) bytes += name.length + utf8Bytes(value);
  if (bytes > limits.messageBytesMax) {
    throw waybillError(
      "WAYBILL_PAYLOAD_TOO_LARGE",
      `A ${message.type} message takes ${bytes} bytes, at most ${limits.messageBytesMax} are sent. Store the payload and send a reference.`,
      { type: message.type, bytes, bytesMax: limits.messageBytesMax },
    );
  }
}

function validate(type: string, schema: StandardSchema, payload: unknown): unknown {
  const result = schema["~standard"].validate(payload);
  if (result instanceof Promise) {
    result.catch(() => undefined);
    throw waybillError("WAYBILL_CONFIG_INVALID", `The schema of ${type} validates asynchronously; use one that answers at once.`, {
      problems: [{ option: `${type}.payload`, problem: "a Standard Schema that validates synchronously" }],
    });
  }
  if (result.issues === undefined) return result.value;
  // The message names paths only. The rule is the schema's own text: write rules that do not quote values.
  const issues: PayloadIssue[] = result.issues.map((issue) => ({ path: issuePath(issue.path), rule: issue.message }));
  throw waybillError("WAYBILL_PAYLOAD_INVALID", `The payload of ${type} breaks its schema at ${issues.map((issue) => issue.path).join(", ")}.`, { type, issues });
}

function issuePath(path: readonly (PropertyKey | { readonly key: PropertyKey })[] | undefined): string {
  return (path ?? []).map((part) => `/${String(typeof part === "object" ? part.key : part)}`).join("") || "/";
}
