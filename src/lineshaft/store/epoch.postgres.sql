-- name: epoch_began_at
select max(began_at) from lineshaft.epoch;

-- name: lock_store
-- What waits for these locks takes its snapshot after it has them, and so sees the new epoch.
lock table lineshaft.worker, lineshaft.queue, lineshaft.job, lineshaft.history, lineshaft.job_log, lineshaft.unique_key,
           lineshaft.schedule, lineshaft.tick, lineshaft.backfill, lineshaft.limit_rule, lineshaft.gate, lineshaft.slot,
           lineshaft.queue_grant, lineshaft.fair, lineshaft.limit_course, lineshaft.epoch in access exclusive mode;

-- name: last_worker
-- The greatest number that a worker was ever given.
select greatest(
    coalesce(pg_sequence_last_value(pg_get_serial_sequence('lineshaft.worker', 'id')::regclass), 0),
    (select coalesce(max(first_worker), 1) - 1 from lineshaft.epoch));

-- name: empty_store
truncate lineshaft.job, lineshaft.history, lineshaft.job_log, lineshaft.unique_key, lineshaft.queue, lineshaft.schedule,
         lineshaft.tick, lineshaft.backfill, lineshaft.limit_rule, lineshaft.gate, lineshaft.slot, lineshaft.queue_grant,
         lineshaft.fair, lineshaft.limit_course, lineshaft.worker, lineshaft.epoch;

-- name: begin_epoch
with begun as (
    insert into lineshaft.epoch (first_worker, began_at) values (%(first_worker)s, %(now)s) returning first_worker
)
select setval(pg_get_serial_sequence('lineshaft.worker', 'id')::regclass, first_worker, false) from begun;
