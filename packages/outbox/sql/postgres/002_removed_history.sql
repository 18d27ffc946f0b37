-- Up to which id the history of a ledger was removed. Rows up to removed_to are gone, or about to go: a reader that begins there, or is set back
-- to a place below it, would find nothing where messages have been.
alter table waybill_stream add column removed_to bigint not null default 0;

-- A relay whose role owns the ledger's tables, or `waybill retention run` under one that does, makes partitions and removes history: both
-- need ownership. A role that does not own them may still forget callers' own ids that are old:
--
--   grant select, delete on waybill_outbox_id to waybill_relay;
