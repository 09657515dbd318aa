-- name: cancel_waiting rings-waiter json
select json_group_array(json_array(id, claim, tenant, options, context)) from lineshaft_job
 where id in (select value from json_each(:ids)) and stage < 10 and not (stage = 1 and worker is not null);
update lineshaft_job set stage = 12, finished_at = :now, expires_at = :expires_at, cancel_requested = 1,
                         reason = :reason
 where id in (select value ->> 0 from json_each(:previous));

-- name: request_cancel rings-worker json
update lineshaft_job set cancel_requested = 1, cancel_requested_at = coalesce(cancel_requested_at, :now)
 where id in (select value from json_each(:ids)) and stage = 1 and worker is not null;
select json_group_array(json_array(id)) from lineshaft_job
 where id in (select value from json_each(:ids)) and stage = 1 and worker is not null;

-- name: revive_jobs rings-worker
-- The claim number goes on: a late finish of the job's former life stays fenced out. In a fair queue it falls due at once,
-- and so draws a turn; by its tenant, for what its key was is not kept on PostgreSQL.
update lineshaft_job set stage = iif(queue in (select name from lineshaft_queue where is_fair), 0, 1), worker = null, run_at = :now, attempts_before = attempt,
       max_attempts = attempt + max_attempts - attempts_before, losses = 0, is_isolated = 0, cancel_requested = 0,
       cancel_requested_at = null, deadline = null, unknown_since = null, progress = null, reason = null, result = null,
       finished_at = null, expires_at = null, gate = null, turn = null, sequence = null,
       fair = iif(queue in (select name from lineshaft_queue where is_fair), coalesce('=' || tenant, '-'), null)
 where id in (select value from json_each(:ids)) and stage in (11, 12, 14);
select changes();

-- name: reschedule_job rings-worker
-- It comes to its gates as a new one, and draws its turn, where it needs one, by falling due.
update lineshaft_job set stage = iif(fair is not null and turn is null, 0, :stage), run_at = :run_at, gate = null
 where id = :id and stage < 10 and not (stage = 1 and worker is not null);
select changes();

-- name: delete_jobs rings-waiter
delete from lineshaft_job_log where job in (select value from json_each(:ids))
   and job not in (select id from lineshaft_job where stage = 1 and worker is not null
                      and id in (select value from json_each(:ids)));
delete from lineshaft_job where id in (select value from json_each(:ids)) and not (stage = 1 and worker is not null);
select changes();

-- name: purge_queue rings-waiter
delete from lineshaft_job where seq in (
    select seq from lineshaft_job indexed by lineshaft_job_live
     where stage < 10 and queue = :queue and not (stage = 1 and worker is not null) limit :limit);
select changes();

-- name: set_paused rings-worker
insert into lineshaft_queue (name, paused_at, paused_by, pause_reason)
values (:queue, :paused_at, :paused_by, :pause_reason)
    on conflict (name) do update set paused_at = excluded.paused_at, paused_by = excluded.paused_by,
                                     pause_reason = excluded.pause_reason;

-- name: lock_queue
-- The write transaction is the lock.
insert into lineshaft_queue (name) values (:queue) on conflict (name) do nothing;
select max_depth, max_depth_per_tenant, on_full, block_timeout from lineshaft_queue where name = :queue;

-- name: set_limits
insert into lineshaft_queue (name, max_depth, max_depth_per_tenant, on_full, block_timeout)
values (:queue, :max_depth, :max_depth_per_tenant, :on_full, :block_timeout)
    on conflict (name) do update set max_depth = excluded.max_depth,
                                     max_depth_per_tenant = excluded.max_depth_per_tenant,
                                     on_full = excluded.on_full, block_timeout = excluded.block_timeout;

-- name: drain_workers
update lineshaft_worker set is_draining = 1 where id in (select value from json_each(:ids));
select id from lineshaft_worker where id in (select value from json_each(:ids));
