-- name: create_ledger
create table if not exists migration (
    number integer primary key, name text not null, applied_at integer not null) without rowid;

-- name: schema_version
select coalesce(max(number), 0) from migration;

-- name: record_migration
insert into migration (number, name, applied_at) values (:number, :name, :now);
