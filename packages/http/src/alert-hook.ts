/** Tells one endpoint of alerts, signed: `createAlertHook` of core over the calls of this package, for whoever has an `onAlert`. */
import {
  alertHookDefaults,
  type BackoffPolicy,
  type Clock,
  type ConfigProblem,
  createAlertHook,
  emit,
  type OnAlert,
  type OnEvent,
  type Random,
  type Secret,
  systemClock,
  systemRandom,
  throwConfigProblems,
} from "@waybill/core";
import { isLoopbackHost, withoutBrackets } from "./dial-guard.ts";
import { httpCaller } from "./http-caller.ts";
import { areSigningSecrets } from "./signing-secrets.ts";

export interface AlertHookOptions {
  /**
   * Gets `{"version":1,"kind","subject","detail","at"}`. `https://…`, on whatever port it names; `http://…` only if its host says loopback literally, which
   * is dialled then, too. Any other host must have public addresses, or ones in `allowNetworks`.
   */
  readonly url: string;
  /** Made with `signingSecret`; two while one is being replaced. Nothing goes unsigned. */
  readonly secrets: readonly Secret[];
  /** Private ranges that may be dialled: `["10.20.0.0/16"]`. Default none. */
  readonly allowNetworks?: readonly string[];
  /** Milliseconds for one call. Default 5 000. */
  readonly timeoutMs?: number;
  /** Calls for one alert. Default 6, from 1 s doubling to 60 s by default. */
  readonly attemptsMax?: number;
  readonly backoff?: BackoffPolicy;
  readonly clock?: Clock;
  readonly random?: Random;
  /** Told of `http.alertTold` and `http.alertNotTold`. */
  readonly onEvent?: OnEvent;
}

/** What `alertHook` makes. */
export interface StartedAlertHook {
  /** What an inbox's `onAlert` wants. Never throws, never waits. */
  readonly onAlert: OnAlert;
  /** Lets the call under way end, within `timeoutMs`. What waits is not told, and said to be so. Never rejects; a second close resolves with the first. */
  close(): Promise<void>;
}

const loopback = ["127.0.0.0/8", "::1/128"];

/**
 * Makes a hook. It opens nothing until there is something to tell, and holds at most a hundred alerts, in memory.
 *
 * @throws WAYBILL_CONFIG_INVALID with every problem
 */
export function alertHook(options: AlertHookOptions): StartedAlertHook {
  const { url, secrets, allowNetworks = [], clock = systemClock, random = systemRandom, onEvent, ...limits } = options;
  throwConfigProblems("The alert hook", optionProblems(options));
  const target = new URL(url);
  const isLoopback = isLoopbackHost(withoutBrackets(target.hostname));
  const isTls = target.protocol === "https:";
  const ports = [target.port === "" ? (isTls ? 443 : 80) : Number(target.port)];
  const http = httpCaller({
    allowNetworks: isLoopback ? [...allowNetworks, ...loopback] : allowNetworks,
    ports,
    allowPlain: isLoopback,
    clock,
  });
  const hook = createAlertHook({
    ...limits,
    url,
    secrets: () => secrets,
    http,
    reach: {},
    clock,
    random,
    onTold: ({ kind, subject }, attempts) => emit(onEvent, { name: "http.alertTold", kind, subject, attempts }),
    onNotTold: ({ kind, subject }, attempts, reason) => emit(onEvent, { name: "http.alertNotTold", kind, subject, attempts, reason }),
  });
  const stop = new AbortController();
  const running = hook.run(stop.signal);
  return {
    onAlert(alert) {
      const { kind, subject } = alert;
      if (stop.signal.aborted) emit(onEvent, { name: "http.alertNotTold", kind, subject, attempts: 0, reason: "stopping" });
      else hook.tell(alert);
    },
    close() {
      stop.abort();
      return running;
    },
  };
}

function optionProblems(options: AlertHookOptions): readonly ConfigProblem[] {
  const { url, secrets, timeoutMs, attemptsMax, backoff } = { ...alertHookDefaults, ...options };
  const problems: ConfigProblem[] = [];
  const note = (option: string, isWrong: boolean, problem: string): void => {
    if (isWrong) problems.push({ option, problem });
  };
  const target = URL.canParse(url) ? new URL(url) : null;
  const isDialled = target?.protocol === "https:" || (target?.protocol === "http:" && isLoopbackHost(withoutBrackets(target.hostname)));
  note("url", !isDialled, "must begin with https://, or with http:// and a loopback host");
  note("secrets", secrets.length === 0 || !areSigningSecrets(secrets), "must be there, each made with signingSecret");
  note("timeoutMs", !isWithin(timeoutMs, 50, 300_000), "must be a whole number from 50 to 300000");
  note("attemptsMax", !isWithin(attemptsMax, 1, 100), "must be a whole number from 1 to 100");
  const isBackoff = isWithin(backoff.firstMs, 1, 3_600_000) && isWithin(backoff.maxMs, backoff.firstMs, 3_600_000);
  note("backoff", !isBackoff, "must begin with firstMs of 1 or more and end with maxMs, no less than it and an hour at most");
  return problems;
}

function isWithin(value: unknown, min: number, max: number): boolean {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= min && value <= max;
}
