/**
 * What the half-message service says about a delivery, beside the message: headers that no caller may give, and every transport carries.
 *
 * They come on top of the message's own and do not count towards its limits: four short lines.
 */
const grammars: Readonly<Record<string, RegExp>> = {
  /** Under which the consumer acknowledges it; the same for all attempts. */
  "waybill-delivery-id": /^[0-9]{1,19}-[0-9a-f]{16}$/,
  /** Which attempt this is, from 1. */
  "waybill-attempt": /^[0-9]{1,10}$/,
  /** Whether the service waits for an acknowledgement. */
  "waybill-ack": /^(implicit|explicit)$/,
  /** How long it waits, in milliseconds. */
  "waybill-ack-deadline-ms": /^[0-9]{1,10}$/,
};

/** True for a header of a delivery with a value that it can have. */
export function isDeliveryHeader(name: string, value: string): boolean {
  return Object.hasOwn(grammars, name) && (grammars[name] as RegExp).test(value);
}

/** A message's headers in two: those of its delivery, and its own. */
export function splitDeliveryHeaders(headers: Iterable<readonly [string, string]>): {
  readonly delivery: Readonly<Record<string, string>>;
  readonly own: Readonly<Record<string, string>>;
} {
  const delivery: Record<string, string> = {};
  const own: Record<string, string> = {};
  for (const [name, value] of headers) (isDeliveryHeader(name, value) ? delivery : own)[name] = value;
  return { delivery, own };
}
