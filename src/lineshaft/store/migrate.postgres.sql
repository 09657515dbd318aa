-- name: create_ledger
create schema if not exists lineshaft;
create table if not exists lineshaft.migration (
    number integer primary key, name text not null, applied_at bigint not null,
    is_additive boolean not null);

-- name: schema_version
select coalesce(max(number), 0) from lineshaft.migration;

-- name: born_at
select applied_at from lineshaft.migration where number = 1;

-- name: last_not_additive
select coalesce(max(number), 0) from lineshaft.migration where not is_additive;

-- name: record_migration
insert into lineshaft.migration (number, name, applied_at, is_additive)
values (%(number)s, %(name)s, %(now)s, %(is_additive)s);
