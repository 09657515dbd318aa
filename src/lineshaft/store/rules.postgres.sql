-- name: list_rules
select name, kind, declared, overrides, updated_at from lineshaft.limit_rule
 where name > %(after)s order by name limit %(limit)s;

-- name: read_rules
select name, kind, declared, overrides, updated_at from lineshaft.limit_rule where name = any(%(names)s::text[]);

-- name: lock_rule
select name, kind, declared, overrides, updated_at from lineshaft.limit_rule where name = %(name)s for update;

-- name: put_rules
-- What a person changed of a limit of another kind says nothing of this one.
with put as (
    insert into lineshaft.limit_rule as r (name, kind, declared, updated_at)
    select name, kind, declared, updated_at
      from json_to_recordset(%(rows)s::json) as n (name text collate "C", kind text, declared text, updated_at bigint)
     order by name
        on conflict (name) do update
       set kind = excluded.kind, declared = excluded.declared, updated_at = excluded.updated_at,
           overrides = case when r.kind = excluded.kind then r.overrides end
    returning 1
)
select count(*) from put;

-- name: override_rule
with changed as (
    update lineshaft.limit_rule set overrides = %(overrides)s, updated_at = %(now)s where name = %(name)s returning 1
)
select count(*) from changed;

-- name: wake_gates
-- In the order of the keys: nobody can wait in a circle.
with woken as (
    update lineshaft.gate set wake_at = %(now)s where key = any(array(
        select key from lineshaft.gate where wake_at is not null and rule = any(%(rules)s::text[])
         order by key for no key update))
    returning 1
), told as (
    select count(pg_notify('lineshaft_worker', '')) as told from (select 1 from woken limit 1) as any_woken
)
select count(*), (select told from told) from woken;

-- name: gates_of_rule
-- No rule's name has an equals sign, and ">" comes after it.
select key, wake_at is null from (
    select key, wake_at from lineshaft.gate where key = %(name)s::text
    union all
    (select key, wake_at from lineshaft.gate
      where key > %(name)s::text || '=' and key < %(name)s::text || '>' order by key limit %(limit)s)) as known
 limit %(limit)s;

-- name: occupancy
-- The stage is a value that the planner does not know: no plan may walk another index.
select k.key,
       (select count(worker) from (
            select worker from lineshaft.job where gate = k.key and stage = (select 1::smallint)
             order by rank, coalesce(turn, run_at), id limit 10000) as member)
     + (select count(*) from lineshaft.slot as s
         where s.gate = k.key
           and (select j.claim = s.claim and j.worker is not null from lineshaft.job as j where j.id = s.job)),
       (select count(*) from (
            select 1 from lineshaft.job where gate = k.key and stage = (select 5::smallint)
             order by rank, coalesce(turn, run_at), id limit %(limit)s) as waiting)
  from unnest(%(keys)s::text[]) as k (key);
