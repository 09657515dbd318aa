-- name: lock_declared
-- One process after the other brings its schedules in line, a whole deploy at a time; nobody else waits for this lock.
select 1 from pg_advisory_xact_lock('lineshaft.schedule'::regclass::oid::bigint);

-- name: list_declared
select name, source, declared_by, declared, overrides, watches, version, created_at, updated_at, removed_at, paused_at,
       paused_by, pause_reason, next_at, due_at, last_at, last_job::text, succeeded_at, succeeded_tick, overdue_at
  from lineshaft.schedule
 where declared_by = %(declared_by)s or name = any(%(names)s::text[])
 order by schedule.name;
