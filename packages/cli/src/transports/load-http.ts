/** An `http://` or `https://` URL and the settings beside it, to a transport. */
import { type OnEvent, type Secret, signingSecret } from "@waybill/core";
import { httpTransport } from "@waybill/http";
import type { Configuration } from "../configuration.ts";
import { allowNetworks, httpConcurrency, httpDeadlineMs, signingSecrets, transport } from "../settings.ts";
import type { LoadedTransport } from "./loaded-transport.ts";

/**
 * A call is answered when its last message is, and an HTTP destination takes its messages one by one: with the relay's usual 500 the
 * first would wait for the last, and a stop or a crash would repeat them all.
 */
const httpBatchMax = 50;

/** Problems go to the configuration; then the answer is null. */
export function loadHttp(configuration: Configuration, url: string, onEvent: OnEvent): LoadedTransport | null {
  const secrets: Secret[] = [];
  for (const one of configuration.get(signingSecrets) ?? []) {
    const checked = configuration.make(
      () => signingSecret(one.reveal()),
      () => signingSecrets.name,
    );
    if (checked !== null) secrets.push(checked);
  }
  if (secrets.length !== (configuration.get(signingSecrets)?.length ?? 0)) return null;
  const [ranges, concurrency, deadlineMs] = [
    configuration.get(allowNetworks),
    configuration.get(httpConcurrency),
    configuration.get(httpDeadlineMs),
  ];
  const options = {
    url,
    secrets,
    onEvent,
    ...(ranges === null ? {} : { allowNetworks: ranges }),
    ...(concurrency === null ? {} : { concurrency }),
    ...(deadlineMs === null ? {} : { deadlineMs }),
  };
  const made = configuration.make(
    () => httpTransport(options),
    (option) => namesOfHttp[option] ?? option,
  );
  if (made === null) return null;
  const { origin, pathname } = new URL(url);
  return { transport: made, name: `${origin}${pathname}`, batchMax: httpBatchMax, check: null, look: null };
}

const namesOfHttp: Readonly<Record<string, string>> = {
  url: transport.name,
  secrets: signingSecrets.name,
  concurrency: httpConcurrency.name,
  deadlineMs: httpDeadlineMs.name,
};
