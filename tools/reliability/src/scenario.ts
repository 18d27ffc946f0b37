/** One question about one guarantee: what is done to a system, and what must hold while and after it is done. */
import type { Rig } from "./rig.ts";

/** What differs between the scaled form and the full one, in units of its own. */
export type Parameters = Readonly<Record<string, number>>;

export interface Scenario<Wanted extends Parameters = Parameters> {
  /** `R64`. */
  readonly code: string;
  /** A sentence in the present tense: what holds. */
  readonly title: string;
  /** Databases it can be seen on, in the order in which they are taken where none is named. */
  readonly databases: readonly ("postgres" | "mariadb" | "mysql")[];
  /** Likewise. Empty: it needs none, and none is started. */
  readonly brokers: readonly ("rabbitmq" | "kafka")[];
  /** Why not on others; for people. */
  readonly why?: string;
  /** At most 60 s with the audit, on two cores. */
  readonly scaled: Wanted;
  /** As long and as often as the claim needs. */
  readonly full: Wanted;
  /** Does it, and says by `rig.fault`, `rig.effort` and `rig.demand` what bit, what was seen and what must hold. A load that it opens is audited after it. */
  play(rig: Rig, parameters: Wanted): Promise<void>;
}

/** Checks nothing: it lets a scenario's parameters keep their own names. */
export const scenario = <const Wanted extends Parameters>(
  one: Scenario<Record<keyof Wanted & string, number>> & { readonly scaled: Wanted },
): Scenario => one as unknown as Scenario;
