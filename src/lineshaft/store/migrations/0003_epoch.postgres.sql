-- A restore begins an epoch. What workers of an earlier one still hold or claim is refused: their numbers are smaller.
create table lineshaft.epoch (
    first_worker bigint primary key,         -- the smallest number that a worker of this epoch can have
    began_at bigint not null                 -- when the store was restored; no row: it never was
);
