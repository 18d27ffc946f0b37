/** What Kafka and RabbitMQ have in common: who we are there, TLS, and where a problem with it belongs. */
import { readFileSync } from "node:fs";
import { isWaybillError, type Secret, secret } from "@waybill/core";
import type { Configuration } from "../configuration.ts";
import type { Setting } from "../setting.ts";
import { brokerPassword, brokerUser, tlsCaFile, tlsCertFile, tlsKeyFile, tlsServername, tlsSettings, transport } from "../settings.ts";

/** PEM texts, as they lay in their files. */
export interface BrokerTls {
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: Secret;
  readonly servername?: string;
}

/** null: no setting is about TLS. A file that cannot be read is among the problems. */
export function brokerTlsOf(configuration: Configuration): BrokerTls | null {
  const read = (setting: Setting<string>): string | null => {
    const path = configuration.get(setting);
    if (path === null) return null;
    try {
      return readFileSync(path, "utf8");
    } catch {
      configuration.complain(setting.name, "must name a file that can be read");
      return null;
    }
  };
  if (tlsSettingOf(configuration) === null) return null;
  const [ca, cert, key, servername] = [read(tlsCaFile), read(tlsCertFile), read(tlsKeyFile), configuration.get(tlsServername)];
  return {
    ...(ca === null ? {} : { ca }),
    ...(cert === null ? {} : { cert }),
    ...(key === null ? {} : { key: secret(key) }),
    ...(servername === null ? {} : { servername }),
  };
}

/** The first setting about TLS that is given: problems with TLS are told there. */
export function tlsSettingOf(configuration: Configuration): Setting<string> | null {
  return tlsSettings.find((setting) => configuration.get(setting) !== null) ?? null;
}

/** User and password may stand in the URL or in settings, each once. */
export function refuseSecondCredentials(configuration: Configuration, inUrl: { readonly user: boolean; readonly password: boolean }): void {
  const [user, password] = [configuration.get(brokerUser), configuration.get(brokerPassword)];
  if (user !== null && inUrl.user) configuration.complain(brokerUser.name, "is given twice: the URL has a user");
  if (password !== null && inUrl.password) configuration.complain(brokerPassword.name, "is given twice: the URL has a password");
  if (password !== null && user === null && !inUrl.user) configuration.complain(brokerPassword.name, "needs a user");
}

/**
 * Runs a factory. What it finds wrong is noted at the setting that `places` names for its option; what is not named there stands in
 * the URL. Then the answer is null.
 */
export function makeFromUrl<Made>(
  configuration: Configuration,
  places: Readonly<Record<string, string | undefined>>,
  factory: () => Made,
): Made | null {
  try {
    return factory();
  } catch (error) {
    if (!isWaybillError(error, "WAYBILL_CONFIG_INVALID")) throw error;
    for (const { option, problem } of error.facts.problems) {
      const place = places[option];
      if (place !== undefined) configuration.complain(place, problem);
      else configuration.complain(transport.name, option === "url" || option === "urls" ? problem : `${option} ${problem}`);
    }
    return null;
  }
}
