import type { Dialect } from "@waybill/sql";

/** Where it is measured, and how thoroughly. */
export interface Place {
  readonly name: string;
  readonly isSmoke: boolean;
  readonly rounds: number;
  readonly say: (text: string) => void;
  /** A new one, with the service's tables. */
  openDatabase(): Promise<OwnDatabase>;
}

export interface OwnDatabase {
  readonly url: string;
  readonly dialect: Dialect;
  drop(): Promise<void>;
}
