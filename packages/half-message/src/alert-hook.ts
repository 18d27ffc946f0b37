/** The hook that is told of the service's alerts, as best it can be: they are in `onAlert`, in the log of decisions and in the metrics, too. */
import {
  type AlertHook,
  alertHookDefaults,
  type Clock,
  type ConfigProblem,
  createAlertHook,
  emit,
  type HttpCaller,
  type OnEvent,
  type Random,
} from "@waybill/core";
import type { SecretSource } from "./options.ts";
import { networksProblems, portsProblems } from "./reach-problems.ts";
import { signingSecrets } from "./signing-secrets.ts";

export interface AlertHookOptions {
  /** Gets `{"version":1,"kind","subject","detail","at"}`. */
  readonly url: string;
  /** `whsec_` and the base64 of 24 to 64 bytes. */
  readonly secret: SecretSource;
  /** Default 5 000: a call, from resolving the name to the last byte of the answer. */
  readonly timeoutMs?: number;
  /** Default 6: calls for one alert. */
  readonly attemptsMax?: number;
  /** Default 1 000 doubling to 60 000. */
  readonly backoff?: { readonly firstMs: number; readonly maxMs: number };
  /** Private ranges in which it may be called. Default none. */
  readonly allowNetworks?: readonly string[];
  /** Default false. */
  readonly allowHttp?: boolean;
  /** Default [443, 8443]. */
  readonly allowPorts?: readonly number[];
}

export interface AlertHookParts {
  readonly http: HttpCaller;
  readonly clock: Clock;
  readonly random: Random;
  readonly onEvent: OnEvent | undefined;
}

export function createServiceAlertHook(options: AlertHookOptions, { http, clock, random, onEvent }: AlertHookParts): AlertHook {
  const { url, secret, allowNetworks = [], allowHttp = false, allowPorts, ...limits } = options;
  return createAlertHook({
    ...limits,
    url,
    secrets: signingSecrets(secret, clock),
    http,
    reach: { allowNetworks, allowPlain: allowHttp, ...(allowPorts === undefined ? {} : { ports: allowPorts }) },
    clock,
    random,
    onTold: ({ kind, subject }, attempts) => emit(onEvent, { name: "halfMessage.alertTold", kind, subject, attempts }),
    onNotTold: ({ kind, subject }, attempts, reason) =>
      emit(onEvent, { name: "halfMessage.alertNotTold", kind, subject, attempts, reason }),
  });
}

/** What is wrong with the options. */
export function alertHookProblems(options: AlertHookOptions, clock: Clock): readonly ConfigProblem[] {
  const { url, secret, timeoutMs, attemptsMax, backoff, allowNetworks, allowPorts } = { ...alertHookDefaults, ...options };
  const problems: ConfigProblem[] = [];
  const note = (option: string, isWrong: boolean, problem: string): void => {
    if (isWrong) problems.push({ option: `alertHook.${option}`, problem });
  };
  note("url", !URL.canParse(url), "must be a URL");
  note("secret", signingSecrets(secret, clock)().length === 0, "must be there, whsec_ and the base64 of 24 to 64 bytes");
  note("timeoutMs", !isWithin(timeoutMs, 50, 300_000), "must be a whole number from 50 to 300000");
  note("attemptsMax", !isWithin(attemptsMax, 1, 100), "must be a whole number from 1 to 100");
  const isBackoff = isWithin(backoff.firstMs, 1, 3_600_000) && isWithin(backoff.maxMs, backoff.firstMs, 3_600_000);
  note("backoff", !isBackoff, "must begin with firstMs of 1 or more and end with maxMs, no less than it and an hour at most");
  return [...problems, ...networksProblems("alertHook.allowNetworks", allowNetworks), ...portsProblems("alertHook.allowPorts", allowPorts)];
}

function isWithin(value: unknown, min: number, max: number): boolean {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= min && value <= max;
}
