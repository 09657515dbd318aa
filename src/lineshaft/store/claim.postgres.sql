-- name: claim_jobs
-- "= any(array(subselect))" cannot be turned into a join, whatever the statistics say (docs/decisions/0001).
-- Where SQLite gives its private key this gives null, and tells whoever follows the job.
update lineshaft.job
   set worker = %(worker)s, claim = claim + 1, attempt = attempt + 1, started_at = %(now)s, progress = null
 where ctid = any(array(
    select ctid from lineshaft.job
     where stage = 1 and queue = %(queue)s and worker is null
       and not exists (select from lineshaft.queue where name = %(queue)s
                          and (paused_at is not null or (is_gated and not %(is_granted)s::boolean)))
       and not exists (select from lineshaft.epoch where first_worker > %(worker)s)
     order by rank, coalesce(turn, run_at), id limit %(limit)s
       for update skip locked))
returning id::text, claim, worker, attempt, attempts_before, losses, deadline, created_at, unknown_since,
          case when is_followed then nullif(pg_notify('lineshaft_follower', '')::text, '') end,
          name, args, rank, coalesce(turn, run_at), is_isolated, cancel_requested, max_attempts, queue, tenant, tags, meta,
          options, context, gate, sequence;

-- name: claim_jobs_from
-- The comparison begins at the column behind the equality: from `queue` on it would filter and not place the scan.
update lineshaft.job
   set worker = %(worker)s, claim = claim + 1, attempt = attempt + 1, started_at = %(now)s, progress = null
 where ctid = any(array(
    select ctid from lineshaft.job
     where stage = 1 and queue = %(queue)s and worker is null
       and (rank, coalesce(turn, run_at), id) >= (%(rank)s::smallint, %(turn)s::bigint, %(id)s::uuid)
       and not exists (select from lineshaft.queue where name = %(queue)s
                          and (paused_at is not null or (is_gated and not %(is_granted)s::boolean)))
       and not exists (select from lineshaft.epoch where first_worker > %(worker)s)
     order by rank, coalesce(turn, run_at), id limit %(limit)s
       for update skip locked))
returning id::text, claim, worker, attempt, attempts_before, losses, deadline, created_at, unknown_since,
          case when is_followed then nullif(pg_notify('lineshaft_follower', '')::text, '') end,
          name, args, rank, coalesce(turn, run_at), is_isolated, cancel_requested, max_attempts, queue, tenant, tags, meta,
          options, context, gate, sequence;

-- name: claim_aged
update lineshaft.job
   set worker = %(worker)s, claim = claim + 1, attempt = attempt + 1, started_at = %(now)s, progress = null
 where ctid = any(array(
    select ctid from lineshaft.job
     where stage = 1 and queue = %(queue)s and rank = %(rank)s::smallint
       and coalesce(turn, run_at) < %(before)s::bigint and worker is null
       and not exists (select from lineshaft.queue where name = %(queue)s
                          and (paused_at is not null or (is_gated and not %(is_granted)s::boolean)))
       and not exists (select from lineshaft.epoch where first_worker > %(worker)s)
     order by rank, coalesce(turn, run_at), id limit %(limit)s
       for update skip locked))
returning id::text, claim, worker, attempt, attempts_before, losses, deadline, created_at, unknown_since,
          case when is_followed then nullif(pg_notify('lineshaft_follower', '')::text, '') end,
          name, args, rank, coalesce(turn, run_at), is_isolated, cancel_requested, max_attempts, queue, tenant, tags, meta,
          options, context, gate, sequence;

-- name: waiting_heads
-- A loose index scan: one step down the index for each rank, and over the jobs that run.
with recursive head as (
    (select rank from lineshaft.job where stage = 1 and queue = %(queue)s order by rank limit 1)
    union all
    select following.rank
      from head cross join lateral (
           select rank from lineshaft.job where stage = 1 and queue = %(queue)s and rank > head.rank
            order by rank limit 1) as following
)
select rank, place
  from head cross join lateral (
       select coalesce(turn, run_at) as place from lineshaft.job
        where stage = 1 and queue = %(queue)s and rank = head.rank and worker is null
        order by coalesce(turn, run_at) limit 1) as first;

-- name: first_before
select rank, coalesce(turn, run_at), id::text from lineshaft.job
 where stage = 1 and queue = %(queue)s and worker is null
   and (rank, coalesce(turn, run_at), id) < (%(rank)s::smallint, %(turn)s::bigint, %(id)s::uuid)
   and not exists (select from lineshaft.queue where name = %(queue)s and paused_at is not null)
 order by rank, coalesce(turn, run_at), job.id limit 1;

-- name: place_of
select rank, coalesce(turn, run_at), id::text from lineshaft.job where id = %(id)s::uuid;

-- name: promote_due
-- All but those that have to draw a turn first; whether there are any is told.
with due as materialized (
    select ctid as place, fair is not null and turn is null as draws
      from lineshaft.job where stage in (0, 2) and run_at <= %(now)s
     order by run_at limit %(limit)s for update skip locked
), promoted as (
    update lineshaft.job set stage = 1 where ctid = any(array(select place from due where not draws))
    returning queue
)
select count(*),
       (select count(pg_notify('lineshaft_worker', queue)) from (select distinct queue from promoted) as woken
         where exists (select from lineshaft.worker where is_idle)),
       exists (select from due where draws)
  from promoted;

-- name: next_due
select min(run_at) from lineshaft.job where stage in (0, 2);

-- name: expire_overdue
-- A "case", because the planner knows nothing about it: of the plain conditions it thinks, without good statistics, that
-- next to no row meets them, and collects and sorts every overdue job where it should stop behind the first few.
with gone as (
    delete from lineshaft.job where ctid = any(array(
        select ctid from lineshaft.job
         where deadline <= %(now)s and deadline is not null
           and case when stage <> 2 and worker is null and attempt = attempts_before then true else false end
         order by deadline limit %(limit)s for update skip locked))
    returning *
), kept as (
    insert into lineshaft.history (
        id, queue, name, rank, run_at, stage, created_at, started_at, worker, claim, attempt, attempts_before,
        max_attempts, losses, deadline, tenant, tags, meta, options, context, args, progress, errors, reason, result,
        finished_at, expires_at)
    select id, queue, name, rank, run_at, 14, created_at, started_at, worker, claim, attempt, attempts_before,
           max_attempts, losses, deadline, tenant, tags, meta, options, context, args, progress, errors, null, null,
           %(now)s, %(expires_at)s
      from gone
)
select id::text, name, queue, attempt, claim, tenant, options, context,
       (select count(pg_notify('lineshaft_waiter', '')) from (select 1 from gone where is_awaited limit 1) as awaited)
  from gone;

-- name: cancel_requests
select id::text, claim from lineshaft.job
 where id = any(%(ids)s::uuid[]) and cancel_requested and worker = %(worker)s;
