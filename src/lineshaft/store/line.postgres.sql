-- name: park_jobs
-- The ids come sorted, as in complete_jobs.
with parked as (
    update lineshaft.job
       set stage = 5, worker = null, attempt = attempt - 1, started_at = case when attempt > 1 then started_at end,
           gate = (%(gate)s::text[])[width_bucket(id, %(id)s::uuid[])]
     where id = any(%(id)s::uuid[]) and worker = %(worker)s
       and claim = (%(claim)s::integer[])[width_bucket(id, %(id)s::uuid[])]
    returning 1
)
select count(*) from parked;

-- name: park_unclaimed
-- Passes over those that somebody is claiming: who claims them waits for their gates, which we hold.
with parked as (
    update lineshaft.job
       set stage = 5, gate = (%(gate)s::text[])[width_bucket(id, %(id)s::uuid[])]
     where ctid = any(array(
        select ctid from lineshaft.job where id = any(%(id)s::uuid[]) and worker is null and stage = 1
           for update skip locked))
    returning 1
)
select count(*) from parked;

-- name: park_ready
select id::text, null, name, args, options, tenant, rank, coalesce(turn, run_at), sequence from lineshaft.job
 where stage = 1 and queue = %(queue)s and worker is null and gate is null and not cancel_requested
 order by rank, coalesce(turn, run_at), job.id limit %(limit)s;

-- name: release_line
-- Of the stage a value is asked that the planner does not know: of the indexes with a stage in their condition one
-- would lead to the heads through all lines of all queues.
with released as (
    update lineshaft.job set stage = 1 where ctid = any(array(
        select line.ctid
          from json_to_recordset(%(rows)s::json) as r (key text, count integer) cross join lateral (
               select ctid from lineshaft.job where gate = r.key and stage = (select 5::smallint)
                order by rank, coalesce(turn, run_at), id limit r.count for update skip locked) as line))
    returning queue
)
select queue, case when exists (select from lineshaft.worker where is_idle)
                   then pg_notify('lineshaft_worker', queue) is null end
  from (select distinct queue from released) as woken;

-- name: queues_of_lines
-- Which queues have jobs in lines, by jumps from one to the next; which are served; and which are paused.
with recursive line (queue) as (
    (select queue from lineshaft.job where stage = 5 order by queue limit 1)
    union all
    select (select queue from lineshaft.job where stage = 5 and queue > line.queue order by queue limit 1)
      from line where line.queue is not null
)
select 'line', queue from line where queue is not null
union all
(select distinct 'served', q from lineshaft.worker as w cross join json_object_keys(w.queues::json) as q
  where not w.is_draining)
union all
select 'paused', name from lineshaft.queue where paused_at is not null;

-- name: heads_of_queues
-- The first jobs of each line and each of these queues, at most so many each.
select r.key, head.rank, head.place, head.id::text
  from json_to_recordset(%(rows)s::json) as r (key text collate "C")
       cross join unnest(%(queues)s::text[]) as q (name)
       cross join lateral (
           select rank, coalesce(turn, run_at) as place, id from lineshaft.job
            where stage = 5 and queue = q.name and gate = r.key
            order by rank, coalesce(turn, run_at), id limit %(limit)s) as head;

-- name: release_found
with released as (
    update lineshaft.job set stage = 1 where ctid = any(array(
        select ctid from lineshaft.job where id = any(%(ids)s::uuid[]) and stage = 5 for update skip locked))
    returning queue
)
select queue, case when exists (select from lineshaft.worker where is_idle)
                   then pg_notify('lineshaft_worker', queue) is null end
  from (select distinct queue from released) as woken;

-- name: release_jobs
-- Of a strict order, whose gate has the name of the sequence: another line that the job stands in keeps it.
with released as (
    update lineshaft.job set stage = 1 where ctid = any(array(
        select ctid from lineshaft.job where id = any(%(ids)s::uuid[]) and stage = 5 and gate = sequence
           for update skip locked))
    returning queue
)
select queue, case when exists (select from lineshaft.worker where is_idle)
                   then pg_notify('lineshaft_worker', queue) is null end
  from (select distinct queue from released) as woken;

-- name: leave_gates
-- Jobs that do not ask the gate any more that has released them: it must not count them as its own. The ids come
-- sorted, as in complete_jobs.
with gone as (
    update lineshaft.job set gate = null
     where id = any(%(id)s::uuid[]) and claim = (%(claim)s::integer[])[width_bucket(id, %(id)s::uuid[])]
    returning 1
)
select count(*) from gone;

-- name: join_sequences
-- The ids come sorted, as in complete_jobs.
with joined as (
    update lineshaft.job set sequence = (%(sequence)s::text[])[width_bucket(id, %(id)s::uuid[])]
     where id = any(%(id)s::uuid[]) and claim = (%(claim)s::integer[])[width_bucket(id, %(id)s::uuid[])]
    returning 1
)
select count(*) from joined;

-- name: join_unclaimed
-- Passes over those that somebody is claiming: who claims them has them join.
with joined as (
    update lineshaft.job
       set sequence = (%(sequence)s::text[])[width_bucket(id, %(id)s::uuid[])]
     where ctid = any(array(
        select ctid from lineshaft.job where id = any(%(id)s::uuid[]) and worker is null and stage = 1
           for update skip locked))
    returning 1
)
select count(*) from joined;

-- name: claim_heads
-- Of each line the first job, for the worker that has just freed its place: it need not be found among the ready ones.
update lineshaft.job
   set stage = 1, worker = %(worker)s, claim = claim + 1, attempt = attempt + 1, started_at = %(now)s, progress = null
 where ctid = any(array(
    select head.ctid
      from unnest(%(keys)s::text[]) as k cross join lateral (
           select ctid, queue from lineshaft.job where gate = k and stage = (select 5::smallint)
            order by rank, coalesce(turn, run_at), id limit 1 for update skip locked) as head
     where head.queue = %(queue)s
       and not exists (select from lineshaft.queue where name = %(queue)s and (paused_at is not null or is_gated))
       and not exists (select from lineshaft.epoch where first_worker > %(worker)s)
     limit %(limit)s))
returning id::text, claim, worker, attempt, attempts_before, losses, deadline, created_at, unknown_since,
          case when is_followed then nullif(pg_notify('lineshaft_follower', '')::text, '') end,
          name, args, rank, coalesce(turn, run_at), is_isolated, cancel_requested, max_attempts, queue, tenant, tags, meta,
          options, context, gate, sequence;
