import type { Identifier } from "@waybill/sql";

/**
 * The barrier's identity, and how many of its tables (named ?2, ?3, ?4, in schema ?1 or, if null, the connection's) are not InnoDB's and so
 * take part in no transaction. No row: it has no identity.
 */
export const readIdentity = (identities: Identifier): string => `
  select own.identity,
         (
           select count(*)
           from information_schema.tables
           where table_schema = coalesce(?, database())
             and table_name in (?, ?, ?)
             and engine <> 'InnoDB'
         ) as foreign_engines
  from ${identities} as own`;
