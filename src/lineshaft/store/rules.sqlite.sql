-- name: list_rules json
select json_group_array(json_array(name, kind, declared, overrides, updated_at)) from (
    select name, kind, declared, overrides, updated_at from lineshaft_limit_rule
     where name > :after order by name limit :limit);

-- name: read_rules json
select json_group_array(json_array(name, kind, declared, overrides, updated_at)) from lineshaft_limit_rule
 where name in (select value from json_each(:names));

-- name: lock_rule
-- The write transaction is the lock.
select name, kind, declared, overrides, updated_at from lineshaft_limit_rule where name = :name;

-- name: put_rules
-- What a person changed of a limit of another kind says nothing of this one.
insert into lineshaft_limit_rule (name, kind, declared, updated_at)
select value ->> 'name', value ->> 'kind', value ->> 'declared', value ->> 'updated_at' from json_each(:rows) where true
    on conflict (name) do update
   set kind = excluded.kind, declared = excluded.declared, updated_at = excluded.updated_at,
       overrides = case when kind = excluded.kind then overrides end;
select changes();

-- name: override_rule
update lineshaft_limit_rule set overrides = :overrides, updated_at = :now where name = :name;
select changes();

-- name: wake_gates rings-worker
update lineshaft_gate indexed by lineshaft_gate_wake set wake_at = :now
 where wake_at is not null and rule in (select value from json_each(:rules));
select changes();

-- name: gates_of_rule json
-- No rule's name has an equals sign, and ">" comes after it.
select json_group_array(json_array(key, wake_at is null)) from (
    select key, wake_at from lineshaft_gate where key = :name
    union all
    select key, wake_at from lineshaft_gate where key > :name || '=' and key < :name || '>' limit :limit);

-- name: occupancy json
select json_group_array(json_array(
           k.value,
           (select count(worker) from lineshaft_job indexed by lineshaft_job_line
             where gate = k.value and stage = 1 and finished_at is null)
         + (select count(*) from lineshaft_slot as s indexed by lineshaft_slot_gate
             where s.gate = k.value
               and (select j.claim = s.claim and j.stage = 1 and j.worker is not null
                      from lineshaft_job as j indexed by lineshaft_job_id where j.id = s.job)),
           (select count(*) from (
                select 1 from lineshaft_job indexed by lineshaft_job_line
                 where gate = k.value and stage = 5 and finished_at is null limit :limit))))
  from json_each(:keys) as k;
