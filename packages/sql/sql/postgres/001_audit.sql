-- Who did what to which row, and why: written in the transaction that did it, never changed afterwards.
-- Nothing here is read by an engine. Remove old rows as your own rules ask; no payloads and no keys are stored.

create table waybill_audit (
  id      bigint generated always as identity primary key,
  at      timestamptz not null default clock_timestamp(),
  who     text not null,  -- the person or program, as it named itself
  what    text not null,  -- what was done, e.g. "dead-letter.redrive"
  subject text not null,  -- which row, e.g. "subscription default/kafka"
  why     text,           -- the reason that was given
  detail  text            -- further facts, e.g. the state before
);
