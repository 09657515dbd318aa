-- name: insert_schedule
with made as (
    insert into lineshaft.schedule (name, source, declared_by, declared, overrides, watches, version, created_at, updated_at,
                                    removed_at, paused_at, paused_by, pause_reason, next_at, due_at, last_at, last_job,
                                    succeeded_at, succeeded_tick, overdue_at)
    values (%(name)s, %(source)s, %(declared_by)s, %(declared)s, %(overrides)s, %(watches)s, %(version)s, %(created_at)s,
            %(updated_at)s, %(removed_at)s, %(paused_at)s, %(paused_by)s, %(pause_reason)s, %(next_at)s, %(due_at)s,
            %(last_at)s, %(last_job)s::uuid, %(succeeded_at)s, %(succeeded_tick)s, %(overdue_at)s)
        on conflict (name) do nothing
    returning 1
)
select count(*), (select count(pg_notify('lineshaft_worker', '')) from made) from made;

-- name: update_schedule
-- The version is the one that was read: whoever has changed the schedule meanwhile has made it another one.
with changed as (
    update lineshaft.schedule
       set source = %(source)s, declared_by = %(declared_by)s, declared = %(declared)s, overrides = %(overrides)s,
           watches = %(watches)s, version = version + 1, created_at = %(created_at)s, updated_at = %(updated_at)s, removed_at = %(removed_at)s,
           paused_at = %(paused_at)s, paused_by = %(paused_by)s, pause_reason = %(pause_reason)s,
           next_at = %(next_at)s, due_at = %(due_at)s, last_at = %(last_at)s, last_job = %(last_job)s::uuid,
           succeeded_at = %(succeeded_at)s, succeeded_tick = %(succeeded_tick)s,
           overdue_at = %(overdue_at)s
     where name = %(name)s and version = %(version)s
    returning 1
)
select count(*), (select count(pg_notify('lineshaft_worker', '')) from changed) from changed;

-- name: get_schedule
select name, source, declared_by, declared, overrides, watches, version, created_at, updated_at, removed_at, paused_at,
       paused_by, pause_reason, next_at, due_at, last_at, last_job::text, succeeded_at, succeeded_tick, overdue_at
  from lineshaft.schedule where name = %(name)s;

-- name: lock_schedule
select name, source, declared_by, declared, overrides, watches, version, created_at, updated_at, removed_at, paused_at,
       paused_by, pause_reason, next_at, due_at, last_at, last_job::text, succeeded_at, succeeded_tick, overdue_at
  from lineshaft.schedule where name = %(name)s for update;

-- name: list_schedules
select name, source, declared_by, declared, overrides, watches, version, created_at, updated_at, removed_at, paused_at,
       paused_by, pause_reason, next_at, due_at, last_at, last_job::text, succeeded_at, succeeded_tick, overdue_at
  from lineshaft.schedule where name > %(after)s order by schedule.name limit %(limit)s;

-- name: delete_schedule
with cancelled as (
    delete from lineshaft.backfill where schedule = %(name)s
), gone as (
    delete from lineshaft.schedule where name = %(name)s returning 1
)
select count(*) from gone;

-- name: delete_ticks
with gone as (
    delete from lineshaft.tick where ctid = any(array(
        select ctid from lineshaft.tick where schedule = %(name)s limit %(limit)s))
    returning 1
)
select count(*) from gone;

-- name: list_ticks
select schedule, at, run, state, job::text, decided_at, note
  from lineshaft.tick
 where schedule = %(name)s and (at, run) < (%(at)s, %(run)s) order by tick.at desc, tick.run desc limit %(limit)s;

-- name: next_due
select min(due_at) from lineshaft.schedule where due_at is not null;

-- name: lock_due
-- Two leaders for a moment take different ones: nobody waits, and no two wait for each other. A leader that freezes now
-- loses its locks long before the ticks that it keeps from others are older than their grace.
select name, source, declared_by, declared, overrides, watches, version, created_at, updated_at, removed_at, paused_at,
       paused_by, pause_reason, next_at, due_at, last_at, last_job::text, succeeded_at, succeeded_tick, overdue_at
  from lineshaft.schedule
 where due_at <= %(now)s and (select set_config('idle_in_transaction_session_timeout', '20s', true)) is not null
 order by schedule.due_at limit %(limit)s for update skip locked;

-- name: open_ticks
-- A scalar subselect, since a join to the jobs could be planned as a scan of them.
select schedule, at, run, state, job::text, decided_at, note,
       (select true from lineshaft.job where id = tick.job)
  from lineshaft.tick
 where state < 2 and schedule = any(%(names)s::text[])
   and run in ('', 'manual')
 order by tick.schedule, tick.at, tick.run;

-- name: add_ticks
insert into lineshaft.tick (schedule, at, run, state, job, decided_at, note)
select schedule, at, run, state, job, decided_at, note
  from json_to_recordset(%(rows)s::json) as r (
      schedule text, at bigint, run text, state smallint, job uuid, decided_at bigint, note text)
    on conflict (schedule, at, run) do nothing
returning schedule, at, run;

-- name: change_ticks
-- By way of the unique index: there is no join that the planner could get wrong.
insert into lineshaft.tick (schedule, at, run, state, job, decided_at, note)
select schedule, at, run, state, job, decided_at, note
  from json_to_recordset(%(rows)s::json) as r (
      schedule text, at bigint, run text, state smallint, job uuid, decided_at bigint, note text)
    on conflict (schedule, at, run) do update
   set state = excluded.state, job = excluded.job, decided_at = excluded.decided_at, note = excluded.note;

-- name: move_schedules
-- By way of the primary key, for there is no join that the planner could get wrong; all of them are there, and locked.
-- (width_bucket walks through an array of texts from its beginning: a thousand rows took five times as long.)
insert into lineshaft.schedule (name, source, declared, version, created_at, updated_at, next_at, due_at, last_at, last_job,
                                overdue_at)
select name, '', '', 0, 0, 0, next_at, due_at, last_at, last_job, overdue_at
  from json_to_recordset(%(rows)s::json) as r (
      name text, next_at bigint, due_at bigint, last_at bigint, last_job uuid, overdue_at bigint)
    on conflict (name) do update
   set next_at = excluded.next_at, due_at = excluded.due_at, last_at = excluded.last_at, last_job = excluded.last_job,
       overdue_at = excluded.overdue_at;

-- name: settle_ticks
-- By way of the unique index: there is no join that the planner could get wrong.
insert into lineshaft.tick (schedule, at, run, state, job, decided_at)
select schedule, at, run, 2, job, 0
  from json_to_recordset(%(rows)s::json) as r (schedule text, at bigint, run text, job uuid)
 where job = (select t.job from lineshaft.tick t
               where t.schedule = r.schedule and t.at = r.at and t.run = r.run and t.state = 1)
    on conflict (schedule, at, run) do update set state = 2 where tick.state = 1;

-- name: note_ends
-- Never later than it was due: a clock that goes ahead must not put a tick off. Without a next tick it is the time of
-- the end, from which the next one is counted.
-- In the order of the names: whoever ends jobs of the same schedules at this moment cannot wait in a circle with us.
with locked as materialized (
    select name from lineshaft.schedule where name = any(%(name)s::text[]) order by name for update
), noted as (
    update lineshaft.schedule
       set due_at = case when next_at is null then %(now)s else least(due_at, %(now)s) end,
           succeeded_at = case when (%(tick)s::bigint[])[width_bucket(name, %(name)s::text[])] is null
                               then succeeded_at else %(now)s end,
           succeeded_tick = greatest(succeeded_tick, (%(tick)s::bigint[])[width_bucket(name, %(name)s::text[])])
     where name = any(array(select name from locked))
    returning 1
)
select count(*), (select count(pg_notify('lineshaft_worker', '')) from (select from noted limit 1) as any_noted)
  from noted;

-- name: overgrown
-- Asked before anything is deleted: most have nothing to prune. The oldest tick decides, so that it costs two looks.
select name from unnest(%(names)s::text[]) as name
 where (select t.decided_at from lineshaft.tick t
         where t.schedule = name and t.state >= 2 order by t.at, t.run limit 1) < %(before)s
   and (select true from lineshaft.tick t where t.schedule = name order by t.at desc, t.run desc offset %(kept)s limit 1);

-- name: prune_ticks
with gone as (
    delete from lineshaft.tick where ctid = any(array(
        select ctid from lineshaft.tick
         where schedule = %(name)s and state >= 2 and decided_at < %(before)s
           and at < (select n.at from lineshaft.tick n where n.schedule = %(name)s
                      order by n.at desc offset %(kept)s - 1 limit 1)
         order by at limit %(limit)s))
    returning 1
)
select count(*) from gone;
