-- name: lock_flow
-- The write transaction is the lock.
insert into lineshaft_queue (name) values (:queue) on conflict (name) do nothing;
select flow from lineshaft_queue where name = :queue;

-- name: set_flow rings-worker
update lineshaft_queue set flow = :flow, is_gated = :is_gated where name = :queue;

-- name: revoke_queue
delete from lineshaft_queue_grant where queue = :queue;

-- name: revoke_worker
delete from lineshaft_queue_grant where worker = :worker;

-- name: declare_worker
insert into lineshaft_queue_grant (queue, worker, places)
select name, :worker, 0 from lineshaft_queue
 where is_gated and name in (select value from json_each(:queues))
    on conflict (queue, worker) do nothing;

-- name: read_gated json
-- A live worker that serves the queue and has no row was there before the limit, and has not said yet what it holds.
select json_group_array(json_array(
           q.name, q.flow, g.tat, g.state,
           (select places from lineshaft_queue_grant where queue = q.name and worker = :worker),
           (select coalesce(sum(o.places), 0)
              from lineshaft_queue_grant as o join lineshaft_worker as w on w.id = o.worker
             where o.queue = q.name and o.worker <> :worker),
           exists (select 1 from lineshaft_worker as w cross join json_each(w.queues) as s
                    where w.id <> :worker and s.key = q.name
                      and not exists (select 1 from lineshaft_queue_grant where queue = q.name and worker = w.id)),
           exists (select 1 from lineshaft_job indexed by lineshaft_job_ready
                    where stage = 1 and queue = q.name and worker is null)))
  from json_each(:queues) as k cross join lineshaft_queue as q on q.name = k.value
       cross join lineshaft_gate as g on g.key = 'queue:' || q.name
 where q.is_gated;

-- name: write_grants
insert into lineshaft_queue_grant (queue, worker, places)
select r.value ->> 'queue', w.id, r.value ->> 'places'
  from json_each(:rows) as r cross join lineshaft_worker as w on w.id = :worker
 where true
    on conflict (queue, worker) do update set places = excluded.places;

-- name: trim_grant rings-worker
update lineshaft_queue_grant set places = :places where queue = :queue and worker = :worker and places > :places;
select changes();

-- name: own_places
select places from lineshaft_queue_grant where queue = :queue and worker = :worker;

-- name: claim_granted json rings-follower
-- As claim_jobs, and only as long as the worker lives and the store says that it may hold so many. What allows the claim
-- is asked outside: inside it would be asked of each job that waits, as long as the answer is no.
select json_group_array(seq) from (
    select seq from lineshaft_job
     where stage = 1 and queue = :queue and worker is null
     order by rank, coalesce(turn, run_at), id limit :limit)
 where exists (select 1 from lineshaft_queue_grant
                where queue = :queue and worker = :worker and places >= :places
                  and exists (select 1 from lineshaft_worker where id = :worker))
   and not exists (select 1 from lineshaft_queue where name = :queue and paused_at is not null)
   and not exists (select 1 from lineshaft_epoch where first_worker > :worker);
update lineshaft_job set worker = :worker, claim = claim + 1, attempt = attempt + 1, started_at = :now, progress = null
 where seq in (select value from json_each(:previous));
select json_group_array(json_array(
           id, claim, worker, attempt, attempts_before, losses, deadline, created_at, unknown_since, seq,
           name, args, rank, coalesce(turn, run_at), is_isolated, cancel_requested, max_attempts, queue, tenant, tags,
           meta, options, context, gate, sequence))
  from lineshaft_job where seq in (select value from json_each(:previous));

-- name: list_grants
select o.queue, o.worker, o.places
  from lineshaft_queue_grant as o join lineshaft_worker as w on w.id = o.worker
 where o.places > 0 and (:queue is null or o.queue = :queue) order by o.queue, o.worker;

-- name: see_flow
select q.flow, g.tat from lineshaft_queue as q left join lineshaft_gate as g on g.key = 'queue:' || q.name
 where q.name = :queue and q.flow is not null;
