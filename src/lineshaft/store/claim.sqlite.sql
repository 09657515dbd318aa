-- name: claim_jobs json rings-follower
-- Three steps that answer with one row: while a thread steps through rows, every other thread may take the
-- interpreter from it for milliseconds (docs/decisions/0002).
-- Whether the queue may be claimed from is asked outside: inside it would be asked of each job that waits, as long as
-- the answer is no.
select json_group_array(seq) from (
    select seq from lineshaft_job
     where stage = 1 and queue = :queue and worker is null
     order by rank, coalesce(turn, run_at), id limit :limit)
 where not exists (select 1 from lineshaft_queue where name = :queue
                    and (paused_at is not null or (is_gated and not :is_granted)))
   and not exists (select 1 from lineshaft_epoch where first_worker > :worker);
update lineshaft_job set worker = :worker, claim = claim + 1, attempt = attempt + 1, started_at = :now, progress = null
 where seq in (select value from json_each(:previous));
select json_group_array(json_array(
           id, claim, worker, attempt, attempts_before, losses, deadline, created_at, unknown_since, seq,
           name, args, rank, coalesce(turn, run_at), is_isolated, cancel_requested, max_attempts, queue, tenant, tags,
           meta, options, context, gate, sequence))
  from lineshaft_job where seq in (select value from json_each(:previous));

-- name: claim_jobs_from json rings-follower
-- In three ranges of the index, each behind the one before: SQLite compares rows by an index of plain columns only.
select json_group_array(seq) from (
    select seq from (
        select seq from lineshaft_job
         where stage = 1 and queue = :queue and worker is null
           and rank = :rank and coalesce(turn, run_at) = :turn and id >= :id
         order by id limit :limit)
    union all
    select seq from (
        select seq from lineshaft_job
         where stage = 1 and queue = :queue and worker is null and rank = :rank and coalesce(turn, run_at) > :turn
         order by coalesce(turn, run_at), id limit :limit)
    union all
    select seq from (
        select seq from lineshaft_job
         where stage = 1 and queue = :queue and worker is null and rank > :rank
         order by rank, coalesce(turn, run_at), id limit :limit)
     limit :limit)
 where not exists (select 1 from lineshaft_queue where name = :queue
                    and (paused_at is not null or (is_gated and not :is_granted)))
   and not exists (select 1 from lineshaft_epoch where first_worker > :worker);
update lineshaft_job set worker = :worker, claim = claim + 1, attempt = attempt + 1, started_at = :now, progress = null
 where seq in (select value from json_each(:previous));
select json_group_array(json_array(
           id, claim, worker, attempt, attempts_before, losses, deadline, created_at, unknown_since, seq,
           name, args, rank, coalesce(turn, run_at), is_isolated, cancel_requested, max_attempts, queue, tenant, tags,
           meta, options, context, gate, sequence))
  from lineshaft_job where seq in (select value from json_each(:previous));

-- name: claim_aged json rings-follower
select json_group_array(seq) from (
    select seq from lineshaft_job
     where stage = 1 and queue = :queue and rank = :rank and coalesce(turn, run_at) < :before
       and worker is null
     order by coalesce(turn, run_at), id limit :limit)
 where not exists (select 1 from lineshaft_queue where name = :queue
                    and (paused_at is not null or (is_gated and not :is_granted)))
   and not exists (select 1 from lineshaft_epoch where first_worker > :worker);
update lineshaft_job set worker = :worker, claim = claim + 1, attempt = attempt + 1, started_at = :now, progress = null
 where seq in (select value from json_each(:previous));
select json_group_array(json_array(
           id, claim, worker, attempt, attempts_before, losses, deadline, created_at, unknown_since, seq,
           name, args, rank, coalesce(turn, run_at), is_isolated, cancel_requested, max_attempts, queue, tenant, tags,
           meta, options, context, gate, sequence))
  from lineshaft_job where seq in (select value from json_each(:previous));

-- name: waiting_heads
-- A loose index scan: one step down the index for each rank, and over the jobs that run.
with recursive head (rank) as (
    select min(rank) from lineshaft_job indexed by lineshaft_job_ready where stage = 1 and queue = :queue
    union all
    select (select min(job.rank) from lineshaft_job as job indexed by lineshaft_job_ready
             where job.stage = 1 and job.queue = :queue and job.rank > head.rank)
      from head where head.rank is not null
)
select rank, place from (
    select head.rank, (select coalesce(job.turn, job.run_at) from lineshaft_job as job indexed by lineshaft_job_ready
                        where job.stage = 1 and job.queue = :queue and job.rank = head.rank and job.worker is null
                        order by coalesce(job.turn, job.run_at) limit 1) as place
      from head where head.rank is not null)
 where place is not null;

-- name: first_before
-- In three ranges of the index, as in claim_jobs_from.
select rank, place, id from (
    select rank, place, id from (
        select rank, coalesce(turn, run_at) as place, id from lineshaft_job
         where stage = 1 and queue = :queue and worker is null and rank < :rank
         order by rank, coalesce(turn, run_at), id limit 1)
    union all
    select rank, place, id from (
        select rank, coalesce(turn, run_at) as place, id from lineshaft_job
         where stage = 1 and queue = :queue and worker is null and rank = :rank and coalesce(turn, run_at) < :turn
         order by coalesce(turn, run_at), id limit 1)
    union all
    select rank, place, id from (
        select rank, coalesce(turn, run_at) as place, id from lineshaft_job
         where stage = 1 and queue = :queue and worker is null
           and rank = :rank and coalesce(turn, run_at) = :turn and id < :id
         order by id limit 1)
     limit 1)
 where not exists (select 1 from lineshaft_queue where name = :queue and paused_at is not null);

-- name: place_of
select rank, coalesce(turn, run_at), id from lineshaft_job where id = :id and stage < 10;

-- name: promote_due rings-worker
-- All but those that have to draw a turn first; whether there are any is told.
update lineshaft_job set stage = 1 where (fair is null or turn is not null) and seq in (
    select seq from lineshaft_job where stage in (0, 2) and run_at <= :now order by run_at limit :limit);
select changes(), null, exists (
    select 1 from (select fair, turn from lineshaft_job where stage in (0, 2) and run_at <= :now
                    order by run_at limit :limit)
     where fair is not null and turn is null);

-- name: next_due
select min(run_at) from lineshaft_job where stage in (0, 2);

-- name: expire_overdue json rings-waiter
select json_group_array(seq) from (
    select seq from lineshaft_job
     where deadline <= :now and deadline is not null and stage < 10 and stage <> 2
       and not (stage = 1 and worker is not null) and attempt = attempts_before
     order by deadline limit :limit);
update lineshaft_job set stage = 14, finished_at = :now, expires_at = :expires_at
 where seq in (select value from json_each(:previous));
select json_group_array(json_array(id, name, queue, attempt, claim, tenant, options, context))
  from lineshaft_job where seq in (select value from json_each(:previous));

-- name: cancel_requests
select id, claim from lineshaft_job where id in (select value from json_each(:ids)) and cancel_requested and worker = :worker;
