-- name: take_keys
-- One statement takes what is free, waits for who is taking it at this moment, and locks what is held ("where false"
-- locks the row without writing a new version), in the order of the keys: nobody can wait in a circle. Each later
-- statement has a snapshot begun after the locks were had, so it sees what their former owners committed.
with taken as (
    insert into lineshaft.unique_key (key, job, until)
    select key, job, until
      from json_to_recordset(%(rows)s::json) as r (key text collate "C", job uuid, until bigint)
     order by key
        on conflict (key) do update set job = excluded.job where false
    returning 1
)
select count(*) from taken;

-- name: find_holders
select key, job::text from lineshaft.unique_key where key = any(%(keys)s::text[]);

-- name: look_up_jobs
-- One statement: a job that finishes meanwhile is seen in exactly one of the tables. One that stands in the line of a
-- gate is ready: what replaces it does not stand there.
select id::text, case stage when 5 then 1 else stage end, worker is not null, cancel_requested, created_at, run_at,
       started_at
  from lineshaft.job where id = any(%(ids)s::uuid[])
union all
select id::text, stage, false, false, created_at, run_at, started_at
  from lineshaft.history where id = any(%(ids)s::uuid[]);

-- name: lock_waiting
-- Held jobs are not locked: their worker may be finishing several at once, in another order than ours.
select id::text from lineshaft.job
 where id = any(%(ids)s::uuid[]) and worker is null and not cancel_requested
 order by id for update;

-- name: replace_jobs
-- A revived job's budget lies on top of the attempts of its former life. It comes to its gates as a new one. Its turn it
-- keeps in the same line of the same one; where it needs another, it draws that by falling due.
with replaced as (
    update lineshaft.job
       set args = (%(args)s::text[])[width_bucket(id, %(id)s::uuid[])],
           queue = (%(queue)s::text[])[width_bucket(id, %(id)s::uuid[])],
           rank = (%(rank)s::smallint[])[width_bucket(id, %(id)s::uuid[])],
           run_at = (%(run_at)s::bigint[])[width_bucket(id, %(id)s::uuid[])],
           (stage, turn, fair) = (
               select case when whose is not null and kept is null and new.stage = 1 then 0 else new.stage end, kept, whose
                 from (select (%(stage)s::smallint[])[width_bucket(job.id, %(id)s::uuid[])] as stage,
                              (%(queue)s::text[])[width_bucket(job.id, %(id)s::uuid[])] as queue,
                              (%(rank)s::smallint[])[width_bucket(job.id, %(id)s::uuid[])] as rank) as new
                      left join lateral (
                          select case when flow::json #>> '{fair,by}' = 'tenant'
                                      then (%(turn_of_tenant)s::text[])[width_bucket(job.id, %(id)s::uuid[])]
                                      else (%(turn_of_key)s::text[])[width_bucket(job.id, %(id)s::uuid[])] end as whose
                            from lineshaft.queue where name = new.queue and is_fair) as turns on true
                      cross join lateral (
                          select case when job.fair = whose and job.queue = new.queue and job.rank = new.rank
                                      then job.turn end as kept) as place),
           sequence = (%(sequence)s::text[])[width_bucket(id, %(id)s::uuid[])],
           max_attempts = attempts_before + (%(max_attempts)s::integer[])[width_bucket(id, %(id)s::uuid[])],
           deadline = (%(deadline)s::bigint[])[width_bucket(id, %(id)s::uuid[])],
           tags = (%(tags)s::text[])[width_bucket(id, %(id)s::uuid[])],
           meta = (%(meta)s::text[])[width_bucket(id, %(id)s::uuid[])],
           options = (%(options)s::text[])[width_bucket(id, %(id)s::uuid[])],
           context = (%(context)s::text[])[width_bucket(id, %(id)s::uuid[])],
           gate = null
     where id = any(%(id)s::uuid[]) and worker is null
    returning queue
)
select count(*),
       (select count(pg_notify('lineshaft_worker', queue)) from (select distinct queue from replaced) as woken
         where exists (select from lineshaft.worker where is_idle))
  from replaced;

-- name: move_keys
update lineshaft.unique_key
   set job = (%(job)s::uuid[])[width_bucket(key, %(key)s::text[])],
       until = (%(until)s::bigint[])[width_bucket(key, %(key)s::text[])]
 where key = any(%(key)s::text[]);

-- name: last_of_chunk
select max(key) from (
    select key from lineshaft.unique_key where key > %(after)s::text order by key limit %(limit)s) as chunk;

-- name: lock_unheld
-- Passes over keys that are being taken at this moment, so it waits for nobody.
select key from lineshaft.unique_key u
 where key > %(after)s::text and key <= %(last)s::text
   and not exists (select from lineshaft.job j where j.id = u.job)
   and (until is null or until <= %(now)s
        or (until = %(forever)s and not exists (select from lineshaft.history h where h.id = u.job)))
   for update of u skip locked;

-- name: delete_unheld
-- Judges again: a key may have gone to a new job after the snapshot in which it was found and before it was locked.
with gone as (
    delete from lineshaft.unique_key u
     where key = any(%(keys)s::text[])
       and not exists (select from lineshaft.job j where j.id = u.job)
       and (until is null or until <= %(now)s
            or (until = %(forever)s and not exists (select from lineshaft.history h where h.id = u.job)))
    returning 1
)
select count(*) from gone;
