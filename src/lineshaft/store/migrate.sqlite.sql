-- name: create_ledger
create table if not exists lineshaft_migration (
    number integer primary key, name text not null, applied_at integer not null,
    is_additive integer not null) without rowid;

-- name: schema_version
select coalesce(max(number), 0) from lineshaft_migration;

-- name: born_at
select applied_at from lineshaft_migration where number = 1;

-- name: last_not_additive
select coalesce(max(number), 0) from lineshaft_migration where not is_additive;

-- name: record_migration
insert into lineshaft_migration (number, name, applied_at, is_additive)
values (:number, :name, :now, :is_additive);
