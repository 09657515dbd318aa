-- name: cancel_waiting
with gone as (
    delete from lineshaft.job where id = any(%(ids)s::uuid[]) and worker is null returning *
), kept as (
    insert into lineshaft.history (
        id, queue, name, rank, run_at, stage, created_at, started_at, worker, claim, attempt, attempts_before,
        max_attempts, losses, deadline, tenant, tags, meta, options, context, args, progress, errors, reason, result,
        finished_at, expires_at)
    select id, queue, name, rank, run_at, 12, created_at, started_at, worker, claim, attempt, attempts_before,
           max_attempts, losses, deadline, tenant, tags, meta, options, context, args, progress, errors, %(reason)s::text,
           null, %(now)s, %(expires_at)s
      from gone
), told as (
    select count(pg_notify('lineshaft_waiter', '')) as told
      from (select 1 from gone where is_awaited limit 1) as awaited
)
select gone.id::text, gone.claim, gone.tenant, gone.options, gone.context from gone, told;

-- name: request_cancel
with asked as (
    update lineshaft.job
       set cancel_requested = true, cancel_requested_at = coalesce(cancel_requested_at, %(now)s)
     where id = any(%(ids)s::uuid[]) and worker is not null
    returning id
), told as (
    select count(pg_notify('lineshaft_worker', '')) as told from (select 1 from asked limit 1) as any_asked
)
select asked.id::text from asked, told;

-- name: revive_jobs
-- The claim number goes on: a late finish of the job's former life stays fenced out. In a fair queue it falls due at once,
-- and so draws a turn; by its tenant, for what its key was is not kept.
with gone as (
    delete from lineshaft.history where id = any(%(ids)s::uuid[]) and stage in (11, 12, 14) returning *
), back as (
    insert into lineshaft.job (id, queue, name, rank, run_at, stage, created_at, started_at, claim, attempt,
                               attempts_before, max_attempts, tenant, tags, meta, options, context, args, errors, fair)
    select id, queue, name, rank, %(now)s, case when is_fair then 0 else 1 end, created_at, started_at, claim, attempt, attempt,
           attempt + max_attempts - attempts_before, tenant, tags, meta, options, context, args, errors,
           case when is_fair then coalesce('=' || tenant, '-') end
      from gone left join (select name as of, is_fair from lineshaft.queue) as settings on settings.of = gone.queue
    returning queue
)
select count(*),
       (select count(pg_notify('lineshaft_worker', queue)) from (select distinct queue from back) as woken)
  from back;

-- name: reschedule_job
-- It comes to its gates as a new one, and draws its turn, where it needs one, by falling due.
with moved as (
    update lineshaft.job
       set stage = case when fair is not null and turn is null then 0 else %(stage)s end, run_at = %(run_at)s, gate = null
     where id = %(id)s::uuid and worker is null returning queue
)
select count(*), (select count(pg_notify('lineshaft_worker', queue)) from moved) from moved;

-- name: delete_jobs
with live as (
    delete from lineshaft.job where id = any(%(ids)s::uuid[]) and worker is null returning id, is_awaited
), finished as (
    delete from lineshaft.history where id = any(%(ids)s::uuid[]) returning id
), logs as (
    delete from lineshaft.job_log where job in (select id from live union all select id from finished)
)
select (select count(*) from live) + (select count(*) from finished),
       (select count(pg_notify('lineshaft_waiter', '')) from (select 1 from live where is_awaited limit 1) as awaited);

-- name: purge_queue
with gone as (
    delete from lineshaft.job where ctid = any(array(
        select ctid from lineshaft.job where queue = %(queue)s and worker is null limit %(limit)s
           for update skip locked))
    returning is_awaited
)
select count(*),
       (select count(pg_notify('lineshaft_waiter', '')) from (select 1 from gone where is_awaited limit 1) as awaited)
  from gone;

-- name: set_paused
with changed as (
    insert into lineshaft.queue (name, paused_at, paused_by, pause_reason)
    values (%(queue)s, %(paused_at)s, %(paused_by)s, %(pause_reason)s)
        on conflict (name) do update set paused_at = excluded.paused_at, paused_by = excluded.paused_by,
                                         pause_reason = excluded.pause_reason
    returning name
)
select count(pg_notify('lineshaft_worker', name)) from changed;

-- name: lock_queue
insert into lineshaft.queue (name) values (%(queue)s)
    on conflict (name) do update set name = excluded.name
returning max_depth, max_depth_per_tenant, on_full, block_timeout;

-- name: set_limits
insert into lineshaft.queue (name, max_depth, max_depth_per_tenant, on_full, block_timeout)
values (%(queue)s, %(max_depth)s, %(max_depth_per_tenant)s, %(on_full)s, %(block_timeout)s)
    on conflict (name) do update set max_depth = excluded.max_depth,
                                     max_depth_per_tenant = excluded.max_depth_per_tenant,
                                     on_full = excluded.on_full, block_timeout = excluded.block_timeout;

-- name: drain_workers
update lineshaft.worker set is_draining = true where id = any(%(ids)s::bigint[]) returning id;
