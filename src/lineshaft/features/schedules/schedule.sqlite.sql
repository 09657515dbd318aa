-- name: insert_schedule rings-worker
insert into lineshaft_schedule (name, source, declared_by, declared, overrides, watches, version, created_at, updated_at,
                                removed_at, paused_at, paused_by, pause_reason, next_at, due_at, last_at, last_job,
                                succeeded_at, succeeded_tick, overdue_at)
values (:name, :source, :declared_by, :declared, :overrides, :watches, :version, :created_at, :updated_at, :removed_at, :paused_at,
        :paused_by, :pause_reason, :next_at, :due_at, :last_at, :last_job, :succeeded_at, :succeeded_tick, :overdue_at)
    on conflict (name) do nothing;
select changes();

-- name: update_schedule rings-worker
-- The version is the one that was read: whoever has changed the schedule meanwhile has made it another one.
update lineshaft_schedule
   set source = :source, declared_by = :declared_by, declared = :declared, overrides = :overrides, watches = :watches,
       version = version + 1, created_at = :created_at, updated_at = :updated_at, removed_at = :removed_at,
       paused_at = :paused_at, paused_by = :paused_by, pause_reason = :pause_reason, next_at = :next_at,
       due_at = :due_at, last_at = :last_at, last_job = :last_job, succeeded_at = :succeeded_at,
       succeeded_tick = :succeeded_tick, overdue_at = :overdue_at
 where name = :name and version = :version;
select changes();

-- name: get_schedule
select name, source, declared_by, declared, overrides, watches, version, created_at, updated_at, removed_at, paused_at,
       paused_by, pause_reason, next_at, due_at, last_at, last_job, succeeded_at, succeeded_tick, overdue_at
  from lineshaft_schedule where name = :name;

-- name: lock_schedule
-- The write transaction is the lock.
select name, source, declared_by, declared, overrides, watches, version, created_at, updated_at, removed_at, paused_at,
       paused_by, pause_reason, next_at, due_at, last_at, last_job, succeeded_at, succeeded_tick, overdue_at
  from lineshaft_schedule where name = :name;

-- name: list_schedules
select name, source, declared_by, declared, overrides, watches, version, created_at, updated_at, removed_at, paused_at,
       paused_by, pause_reason, next_at, due_at, last_at, last_job, succeeded_at, succeeded_tick, overdue_at
  from lineshaft_schedule where name > :after order by name limit :limit;

-- name: delete_schedule
delete from lineshaft_backfill where schedule = :name;
delete from lineshaft_schedule where name = :name;
select changes();

-- name: delete_ticks
delete from lineshaft_tick where (schedule, at, run) in (
    select schedule, at, run from lineshaft_tick where schedule = :name limit :limit);
select changes();

-- name: list_ticks
select schedule, at, run, state, job, decided_at, note
  from lineshaft_tick where schedule = :name and (at, run) < (:at, :run) order by at desc, run desc limit :limit;

-- name: next_due
select min(due_at) from lineshaft_schedule where due_at is not null;

-- name: lock_due
-- The write transaction is the lock.
select name, source, declared_by, declared, overrides, watches, version, created_at, updated_at, removed_at, paused_at,
       paused_by, pause_reason, next_at, due_at, last_at, last_job, succeeded_at, succeeded_tick, overdue_at
  from lineshaft_schedule where due_at <= :now order by due_at limit :limit;

-- name: open_ticks
select schedule, at, run, state, job, decided_at, note,
       (select 1 from lineshaft_job where id = tick.job and stage < 10)
  from lineshaft_tick as tick
 where state < 2 and schedule in (select value from json_each(:names))
   and run in ('', 'manual')
 order by schedule, at, run;

-- name: add_ticks
insert into lineshaft_tick (schedule, at, run, state, job, decided_at, note)
select value ->> 'schedule', value ->> 'at', value ->> 'run', value ->> 'state', value ->> 'job',
       value ->> 'decided_at', value ->> 'note'
  from json_each(:rows) where true
    on conflict (schedule, at, run) do nothing
returning schedule, at, run;

-- name: change_ticks
insert into lineshaft_tick (schedule, at, run, state, job, decided_at, note)
select value ->> 'schedule', value ->> 'at', value ->> 'run', value ->> 'state', value ->> 'job',
       value ->> 'decided_at', value ->> 'note'
  from json_each(:rows) where true
    on conflict (schedule, at, run) do update
   set state = excluded.state, job = excluded.job, decided_at = excluded.decided_at, note = excluded.note;

-- name: move_schedules
update lineshaft_schedule
   set next_at = r.value ->> 'next_at', due_at = r.value ->> 'due_at', last_at = r.value ->> 'last_at',
       last_job = r.value ->> 'last_job', overdue_at = r.value ->> 'overdue_at'
  from json_each(:rows) as r
 where lineshaft_schedule.name = r.value ->> 'name';

-- name: settle_ticks
update lineshaft_tick set state = 2
  from json_each(:rows) as r
 where lineshaft_tick.schedule = r.value ->> 'schedule' and lineshaft_tick.at = r.value ->> 'at'
   and lineshaft_tick.run = r.value ->> 'run' and state = 1 and lineshaft_tick.job = r.value ->> 'job';

-- name: note_ends rings-worker
-- Never later than it was due: a clock that goes ahead must not put a tick off. Without a next tick it is the time of
-- the end, from which the next one is counted.
update lineshaft_schedule
   set due_at = iif(next_at is null or due_at is null, :now, min(due_at, :now)),
       succeeded_at = iif(r.value ->> 'tick' is null, succeeded_at, :now),
       succeeded_tick = max(coalesce(r.value ->> 'tick', succeeded_tick), coalesce(succeeded_tick, r.value ->> 'tick'))
  from json_each(:rows) as r
 where lineshaft_schedule.name = r.value ->> 'name';
select changes();

-- name: overgrown
-- Asked before anything is deleted: most have nothing to prune. The oldest tick decides, so that it costs two looks.
select names.value from json_each(:names) as names
 where (select t.decided_at from lineshaft_tick as t
         where t.schedule = names.value and t.state >= 2 order by t.at, t.run limit 1) < :before
   and (select 1 from lineshaft_tick as t
         where t.schedule = names.value order by t.at desc, t.run desc limit 1 offset :kept);

-- name: prune_ticks
delete from lineshaft_tick where (schedule, at, run) in (
    select schedule, at, run from lineshaft_tick
     where schedule = :name and state >= 2 and decided_at < :before
       and at < (select at from lineshaft_tick where schedule = :name order by at desc limit 1 offset :kept - 1)
     order by at limit :limit);
select changes();
