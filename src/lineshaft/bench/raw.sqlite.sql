-- name: insert_one
insert into raw_job (id, queue, name, rank, run_at, stage, created_at, max_attempts, args)
values (:id, 'single', 'raw.noop', 0, :now, 1, :now, 3, '[[7],{}]');

-- name: fill
with recursive numbers (n) as (select 1 union all select n + 1 from numbers where n < :count)
insert into raw_job (id, queue, name, rank, run_at, stage, created_at, max_attempts, args)
select printf('00000000-0000-7000-8000-%012x', n), 'raw', 'raw.noop', 0, :now, 1, :now, 3, '[[7],{}]' from numbers;

-- name: claim
update raw_job set worker = 1, claim = claim + 1, attempt = attempt + 1, started_at = :now
 where seq in (select seq from raw_job where stage = 1 and queue = 'raw' and worker is null
                order by rank, run_at, id limit :limit)
returning seq, claim, name, args;

-- name: finish
update raw_job set stage = 10, result = r.value ->> 'result', finished_at = :now, expires_at = 0
  from json_each(:rows) as r
 where seq = r.value ->> 'key' and claim = r.value ->> 'claim' and worker = 1 and stage = 1;

-- name: settings
select '';

-- name: drop_raw
drop table raw_job;

-- name: forget_queue
delete from lineshaft_queue where name = :queue;

-- name: completed_span
select count(*), min(started_at), max(finished_at) from lineshaft_job
 where id in (select value from json_each(:ids)) and stage = 10;
