-- name: explain_job
select id::text, queue, name, rank, run_at, stage, created_at, started_at, worker, claim, attempt, max_attempts, deadline,
       cancel_requested, tenant, tags, meta, args, progress, errors, null::text, null::text, null::bigint,
       attempts_before, is_isolated, unknown_since, options, cancel_requested_at, gate, turn, sequence, fair
  from lineshaft.job where id = %(id)s::uuid
union all
select id::text, queue, name, rank, run_at, stage, created_at, started_at, worker, claim, attempt, max_attempts, deadline,
       false, tenant, tags, meta, args, progress, errors, reason, result, finished_at,
       attempts_before, false, null::bigint, options, null::bigint, null, null, null, null
  from lineshaft.history where id = %(id)s::uuid;

-- name: queue_pause
select paused_at, paused_by, pause_reason from lineshaft.queue where name = %(queue)s and paused_at is not null;

-- name: count_ahead
-- Counts no further than :limit, however many there are.
select count(*) from (
    select from lineshaft.job
     where stage = 1 and queue = %(queue)s and worker is null
       and (rank, coalesce(turn, run_at), id) < (%(rank)s::smallint, %(turn)s::bigint, %(id)s::uuid)
     order by rank, coalesce(turn, run_at), id limit %(limit)s) as ahead;

-- name: held_at_head
-- No index knows which jobs run; they are among the first of their queue, save those that better ranks overtook since.
select worker, id, name, started_at from (
    select worker, job.id::text, name, started_at from lineshaft.job
     where stage = 1 and queue = %(queue)s order by rank, coalesce(turn, run_at), job.id limit %(limit)s) as head
 where worker is not null;
