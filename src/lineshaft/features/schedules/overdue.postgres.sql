-- name: watched_tasks
select watches, name from lineshaft.schedule where watches is not null;

-- name: note_completed
-- Once a second at most, however many jobs complete. What lies ahead was written by a clock that was wrong.
-- Locked in the order of the names: nobody can wait in a circle.
with noted as (
    update lineshaft.schedule set succeeded_at = %(now)s
     where name = any(array(
               select name from lineshaft.schedule
                where name = any(%(names)s::text[])
                  and (succeeded_at is null or succeeded_at < %(second)s or succeeded_at > %(too_late)s)
                order by name for no key update))
)
select name from lineshaft.schedule where name = any(%(names)s::text[]) and overdue_at is not null;

-- name: call_leader
with called as (
    update lineshaft.schedule set due_at = %(now)s
     where name = any(array(
               select name from lineshaft.schedule where name = any(%(names)s::text[])
                order by name for no key update))
    returning 1
)
select count(pg_notify('lineshaft_worker', '')) from (select 1 from called limit 1) as woken;

-- name: suspects
-- In two parts, each with an index: what a leader has found, and what no leader has looked at in time.
select name, declared, overrides, updated_at, removed_at, paused_at, succeeded_at, succeeded_tick, overdue_at
  from (select * from lineshaft.schedule where overdue_at is not null
        union all
        select * from lineshaft.schedule where due_at <= %(now)s and overdue_at is null) as suspect;

-- name: last_tick
select at, state, job::text, note from lineshaft.tick
 where schedule = %(schedule)s and run = '' and at >= %(since)s order by at desc limit 1;
