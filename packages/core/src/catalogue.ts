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
import { type EntityVersion, entityVersionOf, type VersionSource } from "./entity-version.ts";
import { type ConfigProblem, type PayloadIssue, throwConfigProblems, waybillError } from "./errors.ts";
import { contentTypeProblem, keyProblem, sourceProblem, topicProblem, typeProblem } from "./grammar.ts";
import { sourceHeader, validateHeaders } from "./headers.ts";
import { decodeJson, encodeJson } from "./json.ts";
import { limits } from "./limits.ts";
import type { Message } from "./message.ts";
import { ownMessageId } from "./message-id.ts";
import type { SchemaInput, SchemaOutput, StandardSchema } from "./standard-schema.ts";
import { isWellFormed, utf8Bytes } from "./text.ts";
import { type TraceContext, withTrace } from "./trace-context.ts";

/** A payload can break its schema in a million places; the first ones tell enough. */
const issuesMax = 20;

/** What every message of a type has in common. */
export interface MessageOptions<Payload, Read = Payload> {
  /** On the wire, such as `shop.order.placed.v1`: never renamed, never reused. At most 255 bytes. */
  readonly type: string;
  /** Logical destination: 1 to 249 of `A-Z a-z 0-9 . _ -`. */
  readonly topic: string;
  /** Messages of one topic that share it keep their order. Left out: no order. */
  readonly key?: (payload: Payload) => string | null;
  /** Default `application/json`. With one that is not JSON the payload is a `string` or `Uint8Array`, travels as it is, and is read as `Uint8Array`. */
  readonly contentType?: string;
  /**
   * Which version of its entity a message tells of, higher is newer: a whole number from 0 to 2^63 - 1, as number, bigint or text of digits.
   * Receivers take it from the payload as they read it, or from a header: a tombstone has no payload. An inbox guards by it (`staleness`).
   */
  readonly version?: (payload: Read, headers: ReadonlyMap<string, string>) => number | bigint | string;
  /**
   * Which entity that is, in 1 to 255 bytes, unique in the topic. Left out: the message's key. Types of one topic that speak of one entity share its
   * versions; what has versions of its own needs a name of its own.
   */
  readonly entity?: (payload: Read, headers: ReadonlyMap<string, string>) => string;
}

/** Made by `message`, given a name by `catalogue`. */
export interface MessageDefinition<Input, Output = Input> {
  readonly options: MessageOptions<Input, never> & { readonly payload?: StandardSchema };
  /** Carries the payload's types; never set. */
  readonly payloadTypes?: (input: Input) => Output;
}

/** What may differ from message to message of a type. */
export interface MessageDetails {
  /** An id of your own, a UUID: appending it a second time is an error, or a no-op if `append` is told so. */
  readonly id?: string;
  /** Instead of the definition's key: a tombstone has no payload to take it from. */
  readonly key?: string;
  /** Sent beside the payload. Grammar and limits: `validateHeaders`. */
  readonly headers?: Readonly<Record<string, string>>;
  /** The trace the message belongs to: kept to the handler, whether sampled or not. What of it is malformed or does not fit is left out. */
  readonly trace?: TraceContext;
}

/** An entry of a catalogue: makes messages of one type, and reads them. */
export interface MessageType<Input, Output = Input> {
  /**
   * Makes a message. The payload is encoded and validated here, so that a mistake surfaces where it was made. The schema is shown
   * the payload as a receiver will see it – JSON has made text of a Date by then, and -0 is 0 – and what travels is the payload as
   * given, not what the schema makes of it. `null`, where the payload's type admits it, is a tombstone.
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
  /** Whether messages of the type have a version. */
  readonly hasVersion: boolean;
  /**
   * Of which entity a received message tells, and in which version; null if its type has none.
   *
   * @throws WAYBILL_PAYLOAD_INVALID, with the path `version` or `entity`
   */
  entityVersion(message: VersionSource<Output>): EntityVersion | null;
}

/** Defines a message type. With `payload`, a Standard Schema, the payload's types are the schema's. */
export function message<Schema extends StandardSchema>(
  options: MessageOptions<SchemaInput<Schema>, SchemaOutput<Schema>> & { readonly payload: Schema },
): MessageDefinition<SchemaInput<Schema>, SchemaOutput<Schema>>;
/** Defines a message type whose payload is trusted to be what TypeScript says. */
export function message<Payload>(options: MessageOptions<Payload>): MessageDefinition<Payload>;
export function message<Payload>(options: MessageOptions<Payload> & { readonly payload?: StandardSchema }): MessageDefinition<Payload> {
  return { options };
}

type Entries = Readonly<Record<string, MessageDefinition<never, unknown>>>;

/** The finished catalogue: every definition has become a callable entry. */
export type Catalogue<Definitions> = {
  readonly [Name in keyof Definitions as Name extends "source" ? never : Name]: Definitions[Name] extends MessageDefinition<
    infer Input,
    infer Output
  >
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
  const sourceRule = sourceProblem(source);
  const problems = sourceRule === null ? [] : [{ option: "source", problem: `must be ${sourceRule}` }];
  throwConfigProblems("The catalogue", [...problems, ...entryProblems(entries as Entries)]);
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
  throw waybillError(
    "WAYBILL_MESSAGE_TYPE_UNKNOWN",
    `The catalogue has no message type ${JSON.stringify(type)}; add it, or deploy the version that has it.`,
    { type },
  );
}

function entryProblems(entries: Entries): ConfigProblem[] {
  const problems: ConfigProblem[] = [];
  const seen = new Map<string, string>();
  for (const [name, definition] of Object.entries(entries)) {
    const options = (definition as MessageDefinition<never> | undefined)?.options;
    if (typeof options !== "object" || options === null) {
      problems.push({ option: name, problem: "made by message({ type, topic, … })" });
      continue;
    }
    problems.push(...optionProblems(name, options));
    const twin = seen.get(options.type);
    if (twin !== undefined) problems.push({ option: `${name}.type`, problem: `${options.type} is already the type of ${twin}` });
    else seen.set(options.type, name);
  }
  return problems;
}

function optionProblems(name: string, options: MessageDefinition<never>["options"]): ConfigProblem[] {
  const { type, topic, key, contentType, payload, version, entity } = options;
  const isEntityUsable = entity === undefined || (typeof entity === "function" && version !== undefined);
  const rules: readonly (readonly [option: string, rule: string | null])[] = [
    ["type", typeProblem(type)],
    ["topic", topicProblem(topic)],
    ["key", key === undefined || typeof key === "function" ? null : "a function that takes the payload and answers its key or null"],
    ["contentType", contentType === undefined ? null : contentTypeProblem(contentType)],
    [
      "version",
      version === undefined || typeof version === "function" ? null : "a function that takes the payload and answers its version",
    ],
    ["entity", isEntityUsable ? null : "a function that takes the payload and answers the entity's name, beside a version"],
    ["payload", payload === undefined || isStandardSchema(payload) ? null : "a Standard Schema, version 1"],
  ];
  return rules.flatMap(([option, rule]) => (rule === null ? [] : [{ option: `${name}.${option}`, problem: `must be ${rule}` }]));
}

/** Messages that were checked when a catalogue made them, and are frozen since. */
const checked = new WeakSet<Message>();

/** True for a message that a catalogue made: it need not be checked again. False for a copy of one, however alike. */
export function isFromCatalogue(message: Message): boolean {
  return checked.has(message);
}

const jsonContentType = "application/json";
const jsonContentTypes = /^(application\/json|[^;]+\+json) *(;|$)/i;

function messageType(source: string, definition: MessageDefinition<never, unknown>): MessageType<never, unknown> {
  const options = definition.options as MessageOptions<unknown> & { readonly payload?: StandardSchema };
  const contentType = options.contentType ?? jsonContentType;
  const isJson = jsonContentTypes.test(contentType);
  // Most messages of a type have no headers but these, and share the map: nobody changes a message.
  const commonHeaders: ReadonlyMap<string, string> = new Map([
    [sourceHeader, source],
    ["content-type", contentType],
  ]);

  const make = (payload: unknown, details: MessageDetails = {}): Message => {
    const encoded = payload === null ? null : isJson ? encodeJson(options.type, payload) : rawPayload(options.type, payload);
    // The schema sees what a receiver will see, so that what was appended can be read: a Date, say, has become text by then.
    if (options.payload !== undefined) read(typeof encoded === "string" ? Buffer.from(encoded, "utf8") : encoded);
    const made: Message = {
      ownId: details.id === undefined ? null : ownMessageId(details.id),
      type: options.type,
      topic: options.topic,
      key: details.key ?? (payload === null ? null : (options.key?.(payload) ?? null)),
      headers:
        details.headers === undefined && details.trace === undefined
          ? commonHeaders
          : new Map([...withTrace(validateHeaders(details.headers ?? {}), details.trace), ...commonHeaders]),
      payload: encoded,
    };
    checkSize(made);
    checked.add(made);
    return Object.freeze(made);
  };

  const read = (payload: Uint8Array | null): unknown => {
    const parsed = payload !== null && isJson ? decodeJson(options.type, payload) : payload;
    return options.payload === undefined ? parsed : validate(options.type, options.payload, parsed);
  };
  const { type, topic, version, entity } = options;
  const entityVersion = (source: VersionSource<unknown>): EntityVersion | null =>
    version === undefined ? null : entityVersionOf({ type, topic, version, entity }, source);
  return Object.freeze(Object.assign(make, { type, topic, read, hasVersion: version !== undefined, entityVersion }));
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
    if (rule !== null)
      throw waybillError("WAYBILL_MESSAGE_INVALID", `The key of a ${message.type} message must be ${rule}.`, { field: "key", rule });
  }
  const payloadBytes =
    message.payload === null ? 0 : typeof message.payload === "string" ? utf8Bytes(message.payload) : message.payload.byteLength;
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

function isStandardSchema(schema: StandardSchema): boolean {
  const standard = (schema as Partial<StandardSchema> | null)?.["~standard"];
  return standard?.version === 1 && typeof standard.validate === "function";
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
  const issues: PayloadIssue[] = result.issues.slice(0, issuesMax).map((issue) => ({ path: issuePath(issue.path), rule: issue.message }));
  throw waybillError(
    "WAYBILL_PAYLOAD_INVALID",
    `The payload of ${type} breaks its schema at ${issues.map((issue) => issue.path).join(", ")}.`,
    { type, issues },
  );
}

function issuePath(path: readonly (PropertyKey | { readonly key: PropertyKey })[] | undefined): string {
  return (path ?? []).map((part) => `/${String(typeof part === "object" ? part.key : part)}`).join("") || "/";
}
