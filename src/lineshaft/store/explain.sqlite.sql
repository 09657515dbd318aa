-- name: explain_job
select id, queue, name, rank, run_at, stage, created_at, started_at, worker, claim, attempt, max_attempts, deadline,
       cancel_requested, tenant, tags, meta, args, progress, errors, reason, result, finished_at,
       attempts_before, is_isolated, unknown_since, options, cancel_requested_at, gate, turn, sequence, fair
  from lineshaft_job where id = :id;

-- name: queue_pause
select paused_at, paused_by, pause_reason from lineshaft_queue where name = :queue and paused_at is not null;

-- name: count_ahead
-- Counts no further than :limit, however many there are.
select count(*) from (
    select 1 from lineshaft_job
     where stage = 1 and queue = :queue and worker is null and rank < :rank
    union all
    select 1 from lineshaft_job
     where stage = 1 and queue = :queue and worker is null and rank = :rank and coalesce(turn, run_at) < :turn
    union all
    select 1 from lineshaft_job
     where stage = 1 and queue = :queue and worker is null
       and rank = :rank and coalesce(turn, run_at) = :turn and id < :id
     limit :limit);

-- name: held_at_head
-- No index knows which jobs run; they are among the first of their queue, save those that better ranks overtook since.
select worker, id, name, started_at from (
    select worker, id, name, started_at from lineshaft_job
     where stage = 1 and queue = :queue order by rank, coalesce(turn, run_at), id limit :limit)
 where worker is not null;
