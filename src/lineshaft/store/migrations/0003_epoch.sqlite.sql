-- A restore begins an epoch. What workers of an earlier one still hold or claim is refused: their numbers are smaller.
create table lineshaft_epoch (
    first_worker integer primary key,        -- the smallest number that a worker of this epoch can have
    began_at integer not null                -- when the store was restored; no row: it never was
);
