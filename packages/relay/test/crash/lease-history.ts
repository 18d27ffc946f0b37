/**
 * Every write to the subscription's row, noted by a trigger in the transaction that made it, in the order in which they took effect:
 * what a zombie wrote shows here whatever the fence was supposed to do.
 *
 *     epoch 4   acquired by backend 71 · saved by 71 · renewed by 71
 *     epoch 5   acquired by backend 80 · saved by 80 · saved by 71 ◀── a zombie
 *
 * A relay acquires, renews, saves and releases over one connection, and begins a new epoch when it gets another.
 */
import type { Application } from "../application.ts";

export interface LeaseWrite {
  readonly epoch: number;
  readonly owner: string | null;
  readonly lastId: number;
  readonly backend: number;
}

export interface LeaseHistory {
  /** All writes so far. */
  writes(): Promise<readonly LeaseWrite[]>;
  /** How often the lease went to an owner that was not the last one. */
  takeovers(): Promise<number>;
  /** Writes by others than the backend that acquired their epoch, under an epoch that was over, or of a cursor that goes back. */
  zombieWrites(): Promise<readonly LeaseWrite[]>;
}

const noteWrite = (backend: string): string =>
  `insert into lease_write (epoch, owner, last_id, backend) values (new.epoch, new.owner, new.last_id, ${backend})`;

const triggers = {
  postgres: [
    `create table lease_write (
       place bigint generated always as identity primary key,
       epoch bigint, owner uuid, last_id bigint, backend int not null
     )`,
    `create function note_lease_write() returns trigger language plpgsql as $$
     begin
       ${noteWrite("pg_backend_pid()")};
       return null;
     end $$`,
    "create trigger note_lease_write after insert or update on waybill_subscription for each row execute function note_lease_write()",
  ],
  mysql: [
    `create table lease_write (
       place bigint not null auto_increment primary key,
       epoch bigint, owner char(36), last_id bigint, backend int not null
     )`,
    `create trigger note_lease_insert after insert on waybill_subscription for each row ${noteWrite("connection_id()")}`,
    // A relay that finds the row there "updates" it to what it is: nobody's write.
    `create trigger note_lease_update after update on waybill_subscription for each row
     insert into lease_write (epoch, owner, last_id, backend)
     select new.epoch, new.owner, new.last_id, connection_id() from dual
     where not (old.epoch <=> new.epoch and old.owner <=> new.owner and old.lease_until <=> new.lease_until and old.saved_at <=> new.saved_at)`,
  ],
} as const;

export async function noteLeaseWrites(client: Application): Promise<LeaseHistory> {
  for (const statement of triggers[client.dialect]) await client.run(statement);

  const writes = async (): Promise<readonly LeaseWrite[]> =>
    (await client.run("select epoch, owner, last_id, backend from lease_write order by place")).map((row) => ({
      epoch: Number(row["epoch"]),
      owner: row["owner"] as string | null,
      lastId: Number(row["last_id"]),
      backend: Number(row["backend"]),
    }));
  return {
    writes,
    async takeovers() {
      let owner: string | null = null;
      let takeovers = 0;
      for (const write of await writes()) {
        if (write.owner === null || write.owner === owner) continue;
        if (owner !== null) takeovers += 1;
        owner = write.owner;
      }
      return takeovers;
    },
    async zombieWrites() {
      let epoch = 0;
      let holder = 0;
      let lastId = 0;
      return (await writes()).filter((write) => {
        if (write.epoch > epoch) holder = write.backend;
        const isZombie = write.epoch < epoch || (write.epoch > 0 && write.backend !== holder) || write.lastId < lastId;
        epoch = Math.max(epoch, write.epoch);
        lastId = Math.max(lastId, write.lastId);
        return isZombie;
      });
    },
  };
}
