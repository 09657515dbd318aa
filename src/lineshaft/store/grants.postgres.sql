-- name: lock_flow
insert into lineshaft.queue (name) values (%(queue)s)
    on conflict (name) do update set name = excluded.name
returning flow;

-- name: set_flow
with changed as (
    update lineshaft.queue set flow = %(flow)s, is_gated = %(is_gated)s where name = %(queue)s
    returning name
)
select count(pg_notify('lineshaft_worker', name)) from changed;

-- name: revoke_queue
-- Waits for claims under way, which share their grants' locks: they count as before it.
delete from lineshaft.queue_grant where queue = %(queue)s;

-- name: revoke_worker
delete from lineshaft.queue_grant where worker = %(worker)s;

-- name: declare_worker
insert into lineshaft.queue_grant (queue, worker, places)
select name, %(worker)s, 0 from lineshaft.queue where is_gated and name = any(%(queues)s::text[])
    on conflict (queue, worker) do nothing;

-- name: read_gated
-- A live worker that serves the queue and has no row was there before the limit, and has not said yet what it holds.
-- Its snapshot begins after the locks are had.
select q.name, q.flow, g.tat, g.state,
       (select places from lineshaft.queue_grant where queue = q.name and worker = %(worker)s),
       (select coalesce(sum(o.places), 0)::bigint
          from lineshaft.queue_grant as o join lineshaft.worker as w on w.id = o.worker
         where o.queue = q.name and o.worker <> %(worker)s),
       exists (select from lineshaft.worker as w
                where w.id <> %(worker)s and w.queues::jsonb ? q.name
                  and not exists (select from lineshaft.queue_grant as o where o.queue = q.name and o.worker = w.id)),
       (select true from lineshaft.job as j where j.stage = 1 and j.queue = q.name and j.worker is null
         order by j.rank, coalesce(j.turn, j.run_at), j.id limit 1) is not null
  from lineshaft.queue as q join lineshaft.gate as g on g.key = 'queue:' || q.name
 where q.name = any(%(queues)s::text[]) and q.is_gated;

-- name: write_grants
-- A worker whose row is being deleted gets none.
insert into lineshaft.queue_grant (queue, worker, places)
select r.queue, w.id, r.places
  from json_to_recordset(%(rows)s::json) as r (queue text, places integer)
       cross join (select id from lineshaft.worker where id = %(worker)s for key share) as w
    on conflict (queue, worker) do update set places = excluded.places;

-- name: trim_grant
with trimmed as (
    update lineshaft.queue_grant set places = %(places)s
     where queue = %(queue)s and worker = %(worker)s and places > %(places)s
    returning queue
)
select count(*), (select count(pg_notify('lineshaft_worker', queue)) from trimmed) from trimmed;

-- name: own_places
select places from lineshaft.queue_grant where queue = %(queue)s and worker = %(worker)s;

-- name: claim_granted
-- As claim_jobs, and only as long as the worker lives and the store says that it may hold so many. Whoever takes the
-- grant away waits for the lock, and this for whoever is taking it away, and then sees that it is gone.
update lineshaft.job
   set worker = %(worker)s, claim = claim + 1, attempt = attempt + 1, started_at = %(now)s, progress = null
 where ctid = any(array(
    select ctid from lineshaft.job
     where stage = 1 and queue = %(queue)s and worker is null
       and exists (select from lineshaft.queue_grant as g
                    where g.queue = %(queue)s and g.worker = %(worker)s and g.places >= %(places)s
                      and exists (select from lineshaft.worker where id = %(worker)s)
                      for share of g)
       and not exists (select from lineshaft.queue where name = %(queue)s and paused_at is not null)
       and not exists (select from lineshaft.epoch where first_worker > %(worker)s)
     order by rank, coalesce(turn, run_at), id limit %(limit)s
       for update skip locked))
returning id::text, claim, worker, attempt, attempts_before, losses, deadline, created_at, unknown_since,
          case when is_followed then nullif(pg_notify('lineshaft_follower', '')::text, '') end,
          name, args, rank, coalesce(turn, run_at), is_isolated, cancel_requested, max_attempts, queue, tenant, tags, meta,
          options, context, gate, sequence;

-- name: list_grants
select o.queue, o.worker, o.places
  from lineshaft.queue_grant as o join lineshaft.worker as w on w.id = o.worker
 where o.places > 0 and (%(queue)s::text is null or o.queue = %(queue)s::text) order by o.queue, o.worker;

-- name: see_flow
select q.flow, g.tat from lineshaft.queue as q left join lineshaft.gate as g on g.key = 'queue:' || q.name
 where q.name = %(queue)s and q.flow is not null;
