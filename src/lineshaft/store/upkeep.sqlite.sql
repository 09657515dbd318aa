-- name: register_worker
insert into lineshaft_worker (host, pid, version, queues, tasks, started_at, heartbeat_at, server, is_idle)
values (:host, :pid, :version, :queues, :tasks, :now, :now, :server, 0);
select last_insert_rowid();

-- name: beat
update lineshaft_worker set heartbeat_at = :now, server = :server, load = coalesce(:load, load) where id = :worker;
select is_draining, coalesce((select term from lineshaft_leader), 0),
       (select holder.id from lineshaft_leader join lineshaft_worker as holder on holder.id = lineshaft_leader.worker
         where not holder.is_draining and (holder.heartbeat_at > :oldest or holder.id = :worker)),
       (select nullif(json_group_array(json_array(q.name, q.flow, g.state, o.places)), '[]')
          from lineshaft_queue as q left join lineshaft_gate as g on g.key = 'queue:' || q.name
               left join lineshaft_queue_grant as o on o.queue = q.name and o.worker = :worker
         where q.is_gated),
       (select nullif(json_group_array(name), '[]') from lineshaft_queue where is_fair)
  from lineshaft_worker where id = :worker;

-- name: set_idle
update lineshaft_worker set is_idle = :is_idle where id = :worker;

-- name: set_blocked
update lineshaft_worker set blocked = :blocked where id = :worker;

-- name: set_draining
update lineshaft_worker set is_draining = 1 where id = :worker;

-- name: suspects
-- A heartbeat from the future was written before the clock was set back: it says nothing.
-- A free lock proves death after :silence; without that proof only the end of the lease does.
select id, heartbeat_at <= :now - :lease, host, pid from lineshaft_worker where (heartbeat_at <= :now - :silence or heartbeat_at > :now + :silence) and id <> :worker;

-- name: held_by
select id, claim, worker, attempt, attempts_before, losses, deadline, created_at, unknown_since, seq, is_isolated,
       max_attempts, cancel_requested, queue, name, started_at, tenant, options, context
  from lineshaft_job where stage = 1 and worker = :worker limit :limit;

-- name: unregistered_holders
-- A worker that slept through the end of its lease may have claimed once more before it noticed, and died.
select distinct worker from lineshaft_job
 where stage = 1 and worker is not null and worker not in (select id from lineshaft_worker);

-- name: remove_worker
delete from lineshaft_worker where id = :worker;
select changes();

-- name: ensure_history
-- One table: there are no partitions to make.
select :now + :days where 0;
