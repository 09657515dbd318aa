-- name: take_keys
-- The write transaction is the lock.
insert into lineshaft_unique_key (key, job, until)
select value ->> 'key', value ->> 'job', value ->> 'until' from json_each(:rows) where true
    on conflict (key) do nothing;
select changes();

-- name: find_holders json
select json_group_array(json_array(key, job)) from lineshaft_unique_key where key in (select value from json_each(:keys));

-- name: look_up_jobs json
-- One that stands in the line of a gate is ready: what replaces it does not stand there.
select json_group_array(json_array(id, case stage when 5 then 1 else stage end, stage = 1 and worker is not null, cancel_requested, created_at,
                                   run_at, started_at))
  from lineshaft_job where id in (select value from json_each(:ids));

-- name: lock_waiting json
-- The write transaction is the lock.
select json_group_array(json_array(id)) from lineshaft_job
 where id in (select value from json_each(:ids))
   and stage < 10 and not (stage = 1 and worker is not null) and not cancel_requested;

-- name: replace_jobs rings-worker
-- A revived job's budget lies on top of the attempts of its former life. It comes to its gates as a new one. Its turn it
-- keeps in the same line of the same one; where it needs another, it draws that by falling due.
update lineshaft_job
   set args = r.value ->> 'args', queue = r.value ->> 'queue', rank = r.value ->> 'rank', run_at = r.value ->> 'run_at',
       (stage, turn, fair) = (
           select iif(whose is not null and kept is null and r.value ->> 'stage' = 1, 0, r.value ->> 'stage'), kept, whose
             from (select whose, iif(fair = whose and queue = r.value ->> 'queue' and rank = r.value ->> 'rank', turn, null) as kept
                     from (select (select iif(flow ->> '$.fair.by' = 'tenant', r.value ->> 'turn_of_tenant', r.value ->> 'turn_of_key')
                                     from lineshaft_queue where name = r.value ->> 'queue' and is_fair) as whose))),
       sequence = r.value ->> 'sequence', max_attempts = attempts_before + (r.value ->> 'max_attempts'),
       deadline = r.value ->> 'deadline', tags = r.value ->> 'tags', meta = r.value ->> 'meta',
       options = r.value ->> 'options', context = r.value ->> 'context', gate = null
  from json_each(:rows) as r
 where lineshaft_job.id = r.value ->> 'id' and stage < 10 and not (stage = 1 and worker is not null);

-- name: move_keys
update lineshaft_unique_key set job = r.value ->> 'job', until = r.value ->> 'until'
  from json_each(:rows) as r
 where lineshaft_unique_key.key = r.value ->> 'key';

-- name: last_of_chunk
select max(key) from (select key from lineshaft_unique_key where key > :after order by key limit :limit);

-- name: lock_unheld json
-- The write transaction is the lock.
select json_group_array(json_array(key)) from lineshaft_unique_key
 where key > :after and key <= :last
   and not exists (select 1 from lineshaft_job where id = lineshaft_unique_key.job and stage < 10)
   and (until is null or until <= :now
        or (until = :forever and not exists (select 1 from lineshaft_job where id = lineshaft_unique_key.job)));

-- name: delete_unheld
delete from lineshaft_unique_key
 where key in (select value from json_each(:keys))
   and not exists (select 1 from lineshaft_job where id = lineshaft_unique_key.job and stage < 10)
   and (until is null or until <= :now
        or (until = :forever and not exists (select 1 from lineshaft_job where id = lineshaft_unique_key.job)));
select changes();
