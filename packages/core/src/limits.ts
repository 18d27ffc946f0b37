/**
 * The limits every message keeps, checked where it can still be refused: at append.
 *
 * The sizes are chosen so that a message that was accepted fits every transport: Kafka's default `max.message.bytes` is 1 048 588,
 * RabbitMQ 4 refuses more than 16 MiB, Node's HTTP header block ends at 16 KiB.
 */
export const limits = {
  /** Payload, headers and key together, in bytes. */
  messageBytesMax: 1_000_000,
  headersMax: 64,
  /** All headers as `name: value` lines with values percent-encoded, in bytes. */
  headerBytesMax: 8_192,
  keyBytesMax: 255,
  typeBytesMax: 255,
  /** Kafka's limit for a topic's name. */
  topicLengthMax: 249,
  /** For ids of foreign producers, which need not be UUIDs. */
  messageIdBytesMax: 255,
} as const;
