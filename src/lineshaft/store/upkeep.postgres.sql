-- name: register_worker
insert into lineshaft.worker (host, pid, version, queues, tasks, started_at, heartbeat_at, server)
values (%(host)s, %(pid)s, %(version)s, %(queues)s, %(tasks)s, %(now)s, %(now)s, %(server)s)
returning id;

-- name: beat
with beaten as (
    update lineshaft.worker
       set heartbeat_at = %(now)s, server = %(server)s, load = coalesce(%(load)s::text, load)
     where id = %(worker)s
    returning is_draining
)
select beaten.is_draining, coalesce((select term from lineshaft.leader), 0),
       (select holder.id from lineshaft.leader join lineshaft.worker as holder on holder.id = leader.worker
         where not holder.is_draining and (holder.heartbeat_at > %(oldest)s or holder.id = %(worker)s)),
       (select json_agg(json_build_array(q.name, q.flow, g.state, o.places))::text
          from lineshaft.queue as q left join lineshaft.gate as g on g.key = 'queue:' || q.name
               left join lineshaft.queue_grant as o on o.queue = q.name and o.worker = %(worker)s
         where q.is_gated),
       (select json_agg(name)::text from lineshaft.queue where is_fair)
  from beaten;

-- name: set_idle
update lineshaft.worker set is_idle = %(is_idle)s where id = %(worker)s;

-- name: set_blocked
update lineshaft.worker set blocked = %(blocked)s where id = %(worker)s;

-- name: set_draining
update lineshaft.worker set is_draining = true where id = %(worker)s;

-- name: suspects
-- A heartbeat from the future was written before the clock was set back: it says nothing.
-- A free lock proves death after :silence, but only on the server start on which the lock was taken: a restart
-- frees every lock at once; so does the crash of one session's process, after which the statistics begin anew under
-- the same postmaster. The time in which the server was down does not count against a lease.
select id,
       greatest(heartbeat_at, (extract(epoch from pg_postmaster_start_time()) * 1000000)::bigint)
           <= %(now)s - %(lease)s, host, pid
  from lineshaft.worker
 where (heartbeat_at <= %(now)s - %(silence)s or heartbeat_at > %(now)s + %(silence)s) and id <> %(worker)s
   and (server = concat_ws(' ', extract(epoch from pg_postmaster_start_time()),
                           (select extract(epoch from stats_reset) from pg_stat_archiver))
        or greatest(heartbeat_at, (extract(epoch from pg_postmaster_start_time()) * 1000000)::bigint)
           <= %(now)s - %(lease)s);

-- name: held_by
select id::text, claim, worker, attempt, attempts_before, losses, deadline, created_at, unknown_since, null, is_isolated,
       max_attempts, cancel_requested, queue, name, started_at, tenant, options, context
  from lineshaft.job where worker = %(worker)s limit %(limit)s;

-- name: unregistered_holders
-- A worker that slept through the end of its lease may have claimed once more before it noticed, and died.
select distinct worker from lineshaft.job
 where worker is not null and worker not in (select id from lineshaft.worker);

-- name: remove_worker
with gone as (delete from lineshaft.worker where id = %(worker)s returning id)
select count(*) from gone;

-- name: ensure_history
select lineshaft.ensure_history(%(now)s, %(days)s);
