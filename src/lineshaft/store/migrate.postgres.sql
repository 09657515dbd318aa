-- name: create_ledger
create schema if not exists lineshaft;
create table if not exists lineshaft.migration (
    number integer primary key, name text not null, applied_at bigint not null);

-- name: schema_version
select coalesce(max(number), 0) from lineshaft.migration;

-- name: record_migration
insert into lineshaft.migration (number, name, applied_at) values (%(number)s, %(name)s, %(now)s);
