/**
 * Who held the lease and who wrote the cursor, noted by a trigger in the transaction that did it, in the order in which it took effect: what a
 * zombie wrote shows here, whatever the fence was supposed to do. For a database with one subscription.
 *
 *     epoch 4   acquired by backend 71 · saved by 71 · renewed by 71
 *     epoch 5   acquired by backend 80 · saved by 80 · saved by 71 ◀── a zombie
 *
 * A relay acquires, renews and saves over one connection, and begins a new epoch when it gets another; it may release over another.
 */

/** A connection beside the relays. */
export interface LeaseRecordClient {
  readonly dialect: "postgres" | "mysql";
  run(sql: string): Promise<readonly Readonly<Record<string, unknown>>[]>;
}

const note = (backend: string): string =>
  `insert into lease_write (epoch, owner, last_id, backend) values (new.epoch, new.owner, new.last_id, ${backend})`;

const triggers = {
  postgres: [
    `create table lease_write (
       place bigint generated always as identity primary key,
       epoch bigint, owner uuid, last_id bigint, backend bigint not null
     )`,
    `create function note_lease_write() returns trigger language plpgsql as $$
     begin
       ${note("pg_backend_pid()")};
       return null;
     end $$`,
    "create trigger note_lease_write after insert or update on waybill_subscription for each row execute function note_lease_write()",
  ],
  mysql: [
    `create table lease_write (
       place bigint not null auto_increment primary key,
       epoch bigint, owner char(36), last_id bigint, backend bigint not null
     )`,
    `create trigger note_lease_insert after insert on waybill_subscription for each row ${note("connection_id()")}`,
    // Who finds the row there and "updates" it to what it is has written nothing.
    `create trigger note_lease_update after update on waybill_subscription for each row
     insert into lease_write (epoch, owner, last_id, backend)
     select new.epoch, new.owner, new.last_id, connection_id() from dual
     where not (old.epoch <=> new.epoch and old.owner <=> new.owner and old.lease_until <=> new.lease_until and old.saved_at <=> new.saved_at)`,
  ],
} as const;

/** From now on every write to `waybill_subscription` is noted, in a table `lease_write` beside it. */
export async function createLeaseRecord(client: LeaseRecordClient): Promise<void> {
  for (const statement of triggers[client.dialect]) await client.run(statement);
}

export interface LeaseWrite {
  readonly epoch: number;
  readonly owner: string | null;
  readonly lastId: number;
  readonly backend: number;
}

/** In the order in which they took effect. */
export async function readLeaseWrites(client: LeaseRecordClient): Promise<readonly LeaseWrite[]> {
  const rows = await client.run("select epoch, owner, last_id, backend from lease_write order by place");
  return rows.map((row) => ({
    epoch: Number(row["epoch"]),
    owner: row["owner"] as string | null,
    lastId: Number(row["last_id"]),
    backend: Number(row["backend"]),
  }));
}

export interface LeaseJudgement {
  /** How often the lease went to an owner that was not the last one. */
  readonly takeovers: number;
  /** Writes under an epoch that was over, by another connection than the one that acquired it (but for a release), or of a cursor that goes back. */
  readonly zombieWrites: readonly LeaseWrite[];
}

/** Of the writes to one subscription's row. */
export function judgeLease(writes: readonly LeaseWrite[]): LeaseJudgement {
  let epoch = 0;
  let holder = 0;
  let lastId = 0;
  let owner: string | null = null;
  let takeovers = 0;
  const zombieWrites: LeaseWrite[] = [];
  for (const write of writes) {
    if (write.epoch > epoch) holder = write.backend;
    const isByAnother = write.owner !== null && write.epoch > 0 && write.backend !== holder;
    if (write.epoch < epoch || isByAnother || write.lastId < lastId) zombieWrites.push(write);
    epoch = Math.max(epoch, write.epoch);
    lastId = Math.max(lastId, write.lastId);
    if (write.owner === null || write.owner === owner) continue;
    if (owner !== null) takeovers += 1;
    owner = write.owner;
  }
  return { takeovers, zombieWrites };
}
