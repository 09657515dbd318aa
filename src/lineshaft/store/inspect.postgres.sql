-- name: get_job
select id::text, queue, name, rank, run_at, stage, created_at, started_at, worker, claim, attempt, max_attempts, deadline,
       cancel_requested, tenant, tags, meta, args, progress, errors, null::text, null::text, null::bigint
  from lineshaft.job where id = %(id)s::uuid
union all
select id::text, queue, name, rank, run_at, stage, created_at, started_at, worker, claim, attempt, max_attempts, deadline,
       false, tenant, tags, meta, args, progress, errors, reason, result, finished_at
  from lineshaft.history where id = %(id)s::uuid;

-- name: get_jobs
select id::text, queue, name, rank, run_at, stage, created_at, started_at, worker, claim, attempt, max_attempts, deadline,
       cancel_requested, tenant, tags, meta, args, progress, errors, null::text, null::text, null::bigint
  from lineshaft.job where id = any(%(ids)s::uuid[])
union all
select id::text, queue, name, rank, run_at, stage, created_at, started_at, worker, claim, attempt, max_attempts, deadline,
       false, tenant, tags, meta, args, progress, errors, reason, result, finished_at
  from lineshaft.history where id = any(%(ids)s::uuid[]);

-- name: list_live
-- "order by id" would mean the text that is selected, for which there is no index: every job would be read and sorted.
-- "cursor is null or id < cursor" would filter: each page would read all those before it.
select id::text, queue, name, rank, run_at, stage, created_at, started_at, worker, claim, attempt, max_attempts, deadline,
       cancel_requested, tenant, tags, meta, args, progress, errors, null::text, null::text, null::bigint
  from lineshaft.job where true
   and id < coalesce(%(cursor)s::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff')
   and (%(stages)s::smallint[] is null or stage = any(%(stages)s::smallint[]))
   and (%(is_held)s::boolean is null or (worker is not null) = %(is_held)s::boolean)
   and (%(is_cancelling)s::boolean is null or cancel_requested = %(is_cancelling)s::boolean)
   and (%(queue)s::text is null or queue = %(queue)s) and (%(name)s::text is null or name = %(name)s)
   and (%(tenant)s::text is null or tenant = %(tenant)s) and (%(since)s::bigint is null or created_at >= %(since)s)
   and (%(tag)s::text is null or tags::jsonb ? %(tag)s)
   and (%(search)s::text is null
        or strpos(lower(concat(name, ' ', args, ' ', errors)), lower(%(search)s)) > 0)
 order by job.id desc limit %(limit)s;

-- name: plan_for_values
-- For the counts of this transaction: a plan without a filter's values can use no index for them, and a count may read
-- a whole table. Lists keep the generic plan, which goes through the newest first (docs/decisions/0011).
select set_config('plan_cache_mode', 'force_custom_plan', true), set_config('enable_seqscan', 'on', true),
       set_config('enable_bitmapscan', 'on', true);

-- name: count_live
select count(*) from lineshaft.job where true
   and (%(stages)s::smallint[] is null or stage = any(%(stages)s::smallint[]))
   and (%(is_held)s::boolean is null or (worker is not null) = %(is_held)s::boolean)
   and (%(is_cancelling)s::boolean is null or cancel_requested = %(is_cancelling)s::boolean)
   and (%(queue)s::text is null or queue = %(queue)s) and (%(name)s::text is null or name = %(name)s)
   and (%(tenant)s::text is null or tenant = %(tenant)s) and (%(since)s::bigint is null or created_at >= %(since)s)
   and (%(tag)s::text is null or tags::jsonb ? %(tag)s)
   and (%(search)s::text is null
        or strpos(lower(concat(name, ' ', args, ' ', errors)), lower(%(search)s)) > 0);

-- name: list_unsuccessful
select id::text, queue, name, rank, run_at, stage, created_at, started_at, worker, claim, attempt, max_attempts, deadline,
       false, tenant, tags, meta, args, progress, errors, reason, result, finished_at
  from lineshaft.history where stage > 10
   and id < coalesce(%(cursor)s::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff')
   and (%(stages)s::smallint[] is null or stage = any(%(stages)s::smallint[]))
   and (%(queue)s::text is null or queue = %(queue)s) and (%(name)s::text is null or name = %(name)s)
   and (%(tenant)s::text is null or tenant = %(tenant)s) and (%(since)s::bigint is null or created_at >= %(since)s)
   and (%(tag)s::text is null or tags::jsonb ? %(tag)s)
   and (%(search)s::text is null
        or strpos(lower(concat(name, ' ', args, ' ', errors)), lower(%(search)s)) > 0)
 order by history.id desc limit %(limit)s;

-- name: count_unsuccessful
select count(*) from lineshaft.history where stage > 10
   and (%(stages)s::smallint[] is null or stage = any(%(stages)s::smallint[]))
   and (%(queue)s::text is null or queue = %(queue)s) and (%(name)s::text is null or name = %(name)s)
   and (%(tenant)s::text is null or tenant = %(tenant)s) and (%(since)s::bigint is null or created_at >= %(since)s)
   and (%(tag)s::text is null or tags::jsonb ? %(tag)s)
   and (%(search)s::text is null
        or strpos(lower(concat(name, ' ', args, ' ', errors)), lower(%(search)s)) > 0);

-- name: list_completed
select id::text, queue, name, rank, run_at, stage, created_at, started_at, worker, claim, attempt, max_attempts, deadline,
       false, tenant, tags, meta, args, progress, errors, reason, result, finished_at
  from lineshaft.history where stage = 10
   and id < coalesce(%(cursor)s::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff')
   and (%(stages)s::smallint[] is null or stage = any(%(stages)s::smallint[]))
   and (%(queue)s::text is null or queue = %(queue)s) and (%(name)s::text is null or name = %(name)s)
   and (%(tenant)s::text is null or tenant = %(tenant)s) and (%(since)s::bigint is null or created_at >= %(since)s)
   and (%(tag)s::text is null or tags::jsonb ? %(tag)s)
   and (%(search)s::text is null
        or strpos(lower(concat(name, ' ', args, ' ', errors)), lower(%(search)s)) > 0)
 order by history.id desc limit %(limit)s;

-- name: count_completed
select count(*) from lineshaft.history where stage = 10
   and (%(stages)s::smallint[] is null or stage = any(%(stages)s::smallint[]))
   and (%(queue)s::text is null or queue = %(queue)s) and (%(name)s::text is null or name = %(name)s)
   and (%(tenant)s::text is null or tenant = %(tenant)s) and (%(since)s::bigint is null or created_at >= %(since)s)
   and (%(tag)s::text is null or tags::jsonb ? %(tag)s)
   and (%(search)s::text is null
        or strpos(lower(concat(name, ' ', args, ' ', errors)), lower(%(search)s)) > 0);

-- name: mark_awaited
-- A claim passes over rows that somebody is writing to, so workers are told to look again.
with marked as (
    update lineshaft.job set is_awaited = true, is_followed = is_followed or %(is_followed)s
     where id = any(%(ids)s::uuid[]) returning id, queue, stage, worker
), told as (
    select count(pg_notify('lineshaft_worker', queue)) as told
      from (select distinct queue from marked where stage = 1 and worker is null) as skipped
)
select marked.id::text from marked, told;

-- name: still_unfinished
select id::text from lineshaft.job where id = any(%(ids)s::uuid[]);

-- name: glance_at_jobs
select id::text, claim, worker, stage, progress, length(errors) from lineshaft.job where id = any(%(ids)s::uuid[]);

-- name: get_logs
select attempt, lines from lineshaft.job_log where job = %(id)s::uuid order by claim;

-- name: list_workers
select id, host, pid, version, queues, tasks, started_at, heartbeat_at, is_idle, is_draining, load
  from lineshaft.worker order by id;

-- name: list_queues
select name, paused_at, max_depth, paused_by, pause_reason, max_depth_per_tenant, on_full, block_timeout, flow
  from lineshaft.queue order by name;

-- name: count_by_queue
select queue, stage, worker is not null, count(*) from lineshaft.job group by 1, 2, 3;

-- name: running_by_worker
select worker, count(*) from lineshaft.job where worker is not null group by worker;
