-- name: lock_declared
-- The write transaction is the lock.
select 1;

-- name: list_declared
select name, source, declared_by, declared, overrides, watches, version, created_at, updated_at, removed_at, paused_at,
       paused_by, pause_reason, next_at, due_at, last_at, last_job, succeeded_at, succeeded_tick, overdue_at
  from lineshaft_schedule
 where declared_by = :declared_by or name in (select value from json_each(:names))
 order by name;
