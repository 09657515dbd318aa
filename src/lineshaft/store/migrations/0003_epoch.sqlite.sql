-- A restore begins an epoch. What workers of an earlier one still hold or claim is refused: their numbers are smaller.
create table lineshaft_epoch (
    first_worker integer primary key,        -- the smallest number that a worker of this epoch can have
    began_at integer not null                -- when the store was restored; no row: it never was
);

-- One row at most: why the store is closed, and how far the copy of it or into it is (`lineshaft copy`). What bars a
-- closed store are triggers, which an open one does not have (docs/decisions/0023).
create table lineshaft_closure (
    one integer primary key check (one = 1),
    note text,                               -- what is refused is told this; null: the store is open again
    record text not null                     -- JSON object: what the copy knows
);
