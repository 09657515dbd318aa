-- name: complete_jobs
-- The ids come sorted: width_bucket is a binary search for a row's place in the arrays, so there is no join that
-- the planner could get wrong. At most 250 rows a statement.
with gone as (
    delete from lineshaft.job
     where id = any(%(id)s::uuid[]) and worker = %(worker)s
       and claim = (%(claim)s::integer[])[width_bucket(id, %(id)s::uuid[])]
    returning *
), kept as (
    insert into lineshaft.history (
        id, queue, name, rank, run_at, stage, created_at, started_at, worker, claim, attempt, attempts_before,
        max_attempts, losses, deadline, tenant, tags, meta, options, context, args, progress, errors, reason, result,
        finished_at, expires_at)
    select id, queue, name, rank, run_at, 10, created_at, started_at, worker, claim, attempt, attempts_before,
           max_attempts, losses, deadline, tenant, tags, meta, options, context, args, progress, errors, null,
           (%(result)s::text[])[width_bucket(id, %(id)s::uuid[])], %(now)s,
           (%(expires_at)s::bigint[])[width_bucket(id, %(id)s::uuid[])]
      from gone
)
select count(*),
       (select count(pg_notify('lineshaft_waiter', ids)) from (
            select coalesce(case when count(*) <= 200 then string_agg(id::text, ' ') end, '') as ids
              from gone where is_awaited having count(*) > 0) as awaited)
  from gone;

-- name: close_jobs
with gone as (
    delete from lineshaft.job
     where id = any(%(id)s::uuid[]) and worker = %(worker)s
       and claim = (%(claim)s::integer[])[width_bucket(id, %(id)s::uuid[])]
    returning *, width_bucket(id, %(id)s::uuid[]) as place
), kept as (
    insert into lineshaft.history (
        id, queue, name, rank, run_at, stage, created_at, started_at, worker, claim, attempt, attempts_before,
        max_attempts, losses, deadline, tenant, tags, meta, options, context, args, progress, errors, reason, result,
        finished_at, expires_at)
    select id, queue, name, rank, run_at, (%(stage)s::smallint[])[place], created_at, started_at, worker, claim,
           attempt, attempts_before, max_attempts, losses + (%(losses)s::integer[])[place], deadline, tenant, tags,
           meta, options, context, args, progress,
           case when (%(error)s::text[])[place] is null then errors
                else concat_ws(E'\n', errors, (%(error)s::text[])[place]) end,
           (%(reason)s::text[])[place], null, %(now)s, (%(expires_at)s::bigint[])[place]
      from gone
)
select count(*),
       (select count(pg_notify('lineshaft_waiter', ids)) from (
            select coalesce(case when count(*) <= 200 then string_agg(id::text, ' ') end, '') as ids
              from gone where is_awaited having count(*) > 0) as awaited)
  from gone;

-- name: put_back_jobs
-- A job that was asked to stop comes back at once, so that its next claim can end it. What comes back later comes to
-- its gates as a new one: members that nobody holds are jobs that the gate has released.
with back as (
    update lineshaft.job
       set stage = case when cancel_requested then 1
                        else (%(stage)s::smallint[])[width_bucket(id, %(id)s::uuid[])] end,
           worker = null,
           gate = case when cancel_requested or (%(stage)s::smallint[])[width_bucket(id, %(id)s::uuid[])] = 1
                       then gate end,
           run_at = case when cancel_requested then %(now)s
                         else coalesce((%(run_at)s::bigint[])[width_bucket(id, %(id)s::uuid[])], run_at) end,
           attempt = attempt - (%(attempts_back)s::integer[])[width_bucket(id, %(id)s::uuid[])],
           losses = losses + (%(losses)s::integer[])[width_bucket(id, %(id)s::uuid[])],
           is_isolated = is_isolated or (%(is_isolated)s::boolean[])[width_bucket(id, %(id)s::uuid[])],
           unknown_since = (%(unknown_since)s::bigint[])[width_bucket(id, %(id)s::uuid[])],
           errors = case when (%(error)s::text[])[width_bucket(id, %(id)s::uuid[])] is null then errors
                         else concat_ws(E'\n', errors, (%(error)s::text[])[width_bucket(id, %(id)s::uuid[])]) end
     where id = any(%(id)s::uuid[]) and worker = %(worker)s
       and claim = (%(claim)s::integer[])[width_bucket(id, %(id)s::uuid[])]
    returning queue, stage, is_followed
)
select count(*),
       (select count(pg_notify('lineshaft_worker', queue))
          from (select distinct queue from back where stage = 1) as woken
         where exists (select from lineshaft.worker where is_idle)),
       (select count(pg_notify('lineshaft_follower', '')) from (select 1 from back where is_followed limit 1) as followed)
  from back;

-- name: finished_by
select id::text, claim, stage from lineshaft.history where id = any(%(ids)s::uuid[]) and worker = %(worker)s;

-- name: put_back_among
select id::text, claim from lineshaft.job where id = any(%(ids)s::uuid[]) and worker is null;

-- name: save_progress
with told as (
    update lineshaft.job set progress = (%(progress)s::text[])[width_bucket(id, %(id)s::uuid[])]
     where id = any(%(id)s::uuid[]) and worker = %(worker)s
       and claim = (%(claim)s::integer[])[width_bucket(id, %(id)s::uuid[])]
    returning is_followed
)
select count(pg_notify('lineshaft_follower', '')) from (select 1 from told where is_followed limit 1) as followed;

-- name: save_logs
insert into lineshaft.job_log (job, claim, attempt, lines, written_at)
select r.id, r.claim, r.attempt, r.lines, %(now)s
  from json_to_recordset(%(rows)s::json) as r (id uuid, claim integer, attempt integer, lines text)
    on conflict (job, claim) do update set lines = excluded.lines, written_at = excluded.written_at;
