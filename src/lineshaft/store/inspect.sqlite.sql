-- name: get_job
select id, queue, name, rank, run_at, stage, created_at, started_at, worker, claim, attempt, max_attempts, deadline,
       cancel_requested, tenant, tags, meta, args, progress, errors, reason, result, finished_at
  from lineshaft_job where id = :id;

-- name: get_jobs
select id, queue, name, rank, run_at, stage, created_at, started_at, worker, claim, attempt, max_attempts, deadline,
       cancel_requested, tenant, tags, meta, args, progress, errors, reason, result, finished_at
  from lineshaft_job where id in (select value from json_each(:ids));

-- name: list_live
select id, queue, name, rank, run_at, stage, created_at, started_at, worker, claim, attempt, max_attempts, deadline,
       cancel_requested, tenant, tags, meta, args, progress, errors, reason, result, finished_at
  from lineshaft_job where stage < 10
   and id < coalesce(:cursor, 'g') and (:stages is null or stage in (select value from json_each(:stages)))
   and (:is_held is null or (stage = 1 and worker is not null) = :is_held)
   and (:is_cancelling is null or cancel_requested = :is_cancelling)
   and (:queue is null or queue = :queue) and (:name is null or name = :name)
   and (:tenant is null or tenant = :tenant) and (:since is null or created_at >= :since)
   and (:tag is null or exists (select 1 from json_each(tags) where value = :tag))
   and (:search is null or instr(lower(name || ' ' || args || ' ' || coalesce(errors, '')), lower(:search)))
 order by id desc limit :limit;

-- name: plan_for_values
-- SQLite makes one plan, without values.
select 1;

-- name: count_live
select count(*) from lineshaft_job where stage < 10
   and (:stages is null or stage in (select value from json_each(:stages)))
   and (:is_held is null or (stage = 1 and worker is not null) = :is_held)
   and (:is_cancelling is null or cancel_requested = :is_cancelling)
   and (:queue is null or queue = :queue) and (:name is null or name = :name)
   and (:tenant is null or tenant = :tenant) and (:since is null or created_at >= :since)
   and (:tag is null or exists (select 1 from json_each(tags) where value = :tag))
   and (:search is null or instr(lower(name || ' ' || args || ' ' || coalesce(errors, '')), lower(:search)));

-- name: list_unsuccessful
select id, queue, name, rank, run_at, stage, created_at, started_at, worker, claim, attempt, max_attempts, deadline,
       cancel_requested, tenant, tags, meta, args, progress, errors, reason, result, finished_at
  from lineshaft_job where stage > 10
   and id < coalesce(:cursor, 'g') and (:stages is null or stage in (select value from json_each(:stages)))
   and (:queue is null or queue = :queue) and (:name is null or name = :name)
   and (:tenant is null or tenant = :tenant) and (:since is null or created_at >= :since)
   and (:tag is null or exists (select 1 from json_each(tags) where value = :tag))
   and (:search is null or instr(lower(name || ' ' || args || ' ' || coalesce(errors, '')), lower(:search)))
 order by id desc limit :limit;

-- name: count_unsuccessful
select count(*) from lineshaft_job where stage > 10
   and (:stages is null or stage in (select value from json_each(:stages)))
   and (:queue is null or queue = :queue) and (:name is null or name = :name)
   and (:tenant is null or tenant = :tenant) and (:since is null or created_at >= :since)
   and (:tag is null or exists (select 1 from json_each(tags) where value = :tag))
   and (:search is null or instr(lower(name || ' ' || args || ' ' || coalesce(errors, '')), lower(:search)));

-- name: list_completed
select id, queue, name, rank, run_at, stage, created_at, started_at, worker, claim, attempt, max_attempts, deadline,
       cancel_requested, tenant, tags, meta, args, progress, errors, reason, result, finished_at
  from lineshaft_job where stage = 10
   and id < coalesce(:cursor, 'g') and (:stages is null or stage in (select value from json_each(:stages)))
   and (:queue is null or queue = :queue) and (:name is null or name = :name)
   and (:tenant is null or tenant = :tenant) and (:since is null or created_at >= :since)
   and (:tag is null or exists (select 1 from json_each(tags) where value = :tag))
   and (:search is null or instr(lower(name || ' ' || args || ' ' || coalesce(errors, '')), lower(:search)))
 order by id desc limit :limit;

-- name: count_completed
select count(*) from lineshaft_job where stage = 10
   and (:stages is null or stage in (select value from json_each(:stages)))
   and (:queue is null or queue = :queue) and (:name is null or name = :name)
   and (:tenant is null or tenant = :tenant) and (:since is null or created_at >= :since)
   and (:tag is null or exists (select 1 from json_each(tags) where value = :tag))
   and (:search is null or instr(lower(name || ' ' || args || ' ' || coalesce(errors, '')), lower(:search)));

-- name: mark_awaited
-- Whoever waits has a doorbell that every finish rings; whoever follows has one that rings for claims too.
select id from lineshaft_job where id in (select value from json_each(:ids)) and stage < 10 and :is_followed is not null;

-- name: still_unfinished
select id from lineshaft_job where id in (select value from json_each(:ids)) and stage < 10;

-- name: glance_at_jobs
select id, claim, worker, stage, progress, length(errors)
  from lineshaft_job where id in (select value from json_each(:ids)) and stage < 10;

-- name: get_logs
select attempt, lines from lineshaft_job_log where job = :id order by claim;

-- name: list_workers
select id, host, pid, version, queues, tasks, started_at, heartbeat_at, is_idle, is_draining, load
  from lineshaft_worker order by id;

-- name: list_queues
select name, paused_at, max_depth, paused_by, pause_reason, max_depth_per_tenant, on_full, block_timeout, flow
  from lineshaft_queue order by name;

-- name: count_by_queue
select queue, stage, stage = 1 and worker is not null, count(*) from lineshaft_job indexed by lineshaft_job_live where stage < 10
 group by 1, 2, 3;

-- name: running_by_worker
select worker, count(*) from lineshaft_job where stage = 1 and worker is not null group by worker;
