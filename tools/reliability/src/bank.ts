/**
 * What moves in load L: money, from accounts of the source to accounts of the target.
 *
 *     source   account k  − amount  ·  transfer row  ·  message         one transaction
 *     target   account k + 1  + amount  ·  credit row  ·  dedupe row     one transaction
 *
 * Both sides together never have more or less than at the beginning, but for what is under way. A message's key is its account at the source, whose row
 * its writer has locked: so the writers of a key exclude each other, and the version of the row is the message's place among those of its key.
 */
import { catalogue, message } from "@waybill/core";
import type { Session } from "@waybill/testing";

export const accountsMax = 200;
export const openingCents = 1_000_000;
export const consumerName = "bank";

export interface Transfer {
  readonly account: number;
  readonly cents: number;
  /** Makes the message as large as messages are. */
  readonly filler: string;
}

export const keyOf = (account: number): string => `account-${account}`;
/** Never two accounts for one: lanes of the inbox meet at no row. */
export const creditedBy = (account: number): number => (account + 1) % accountsMax;

/** The catalogue, for the topic of a run. */
export const bankMessages = (topic: string) =>
  catalogue({
    source: "/reliability",
    transferred: message<Transfer>({ type: "bank.transferred.v1", topic, key: ({ account }) => keyOf(account) }),
  });

const place = { postgres: "bigint generated always as identity primary key", mysql: "bigint not null auto_increment primary key" } as const;

export async function createSourceTables(session: Session): Promise<void> {
  await session.run("create table account (id int primary key, cents bigint not null, version bigint not null)");
  await session.run("create table transfer (message_id char(36) primary key, account_id int not null, cents bigint not null)");
  await insertAccounts(session, "account (id, cents, version)", `${openingCents}, 0`);
}

export async function createTargetTables(session: Session): Promise<void> {
  await session.run("create table account (id int primary key, cents bigint not null)");
  await session.run(
    `create table credit (place ${place[session.dialect]}, message_id char(36) not null, account_id int not null, cents bigint not null)`,
  );
  await insertAccounts(session, "account (id, cents)", `${openingCents}`);
}

async function insertAccounts(session: Session, into: string, rest: string): Promise<void> {
  const rows = Array.from({ length: accountsMax }, (_, id) => `(${id}, ${rest})`);
  await session.run(`insert into ${into} values ${rows.join(", ")}`);
}
