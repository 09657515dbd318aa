-- name: insert_backfill
insert into lineshaft.backfill (id, schedule, since, until, at_most, only_missing, next_at, enqueued, created_at)
values (%(id)s, %(schedule)s, %(since)s, %(until)s, %(at_most)s, %(only_missing)s, %(next_at)s, %(enqueued)s,
        %(created_at)s)
    on conflict (id) do nothing;

-- name: call_leader
with called as (
    update lineshaft.schedule set due_at = %(now)s where name = %(schedule)s returning 1
)
select count(*), (select count(pg_notify('lineshaft_worker', '')) from called) from called;

-- name: get_backfill
-- Scalar subselects, since a join to the jobs could be planned as a scan of them.
select id, schedule, since, until, at_most, only_missing, next_at, enqueued, created_at, ended_at,
       (select count((select true from lineshaft.job j where j.id = t.job)) from lineshaft.tick t
         where t.schedule = b.schedule and t.run = b.id and t.state < 2), 0
  from lineshaft.backfill b where id = %(id)s;

-- name: list_backfills
select id, schedule, since, until, at_most, only_missing, next_at, enqueued, created_at, ended_at,
       (select count((select true from lineshaft.job j where j.id = t.job)) from lineshaft.tick t
         where t.schedule = b.schedule and t.run = b.id and t.state < 2), 0
  from lineshaft.backfill b where schedule = %(schedule)s order by b.id desc limit %(limit)s;

-- name: cancel_backfill
-- Only one that is cancelled ends with something left to do.
with cancelled as (
    update lineshaft.backfill set ended_at = %(now)s, next_at = coalesce(next_at, until) where id = %(id)s and ended_at is null returning 1
)
select count(*) from cancelled;

-- name: open_backfills
-- Locked: who cancels one waits for the step that is under way, and the next step knows of it.
select id, schedule, since, until, at_most, only_missing, next_at, enqueued, created_at, ended_at, unfinished,
       noted - unfinished
  from (select *,
               (select count(*) from lineshaft.tick t
                 where t.schedule = o.schedule and t.run = o.id and t.state < 2) as noted,
               (select count((select true from lineshaft.job j where j.id = t.job)) from lineshaft.tick t
                 where t.schedule = o.schedule and t.run = o.id and t.state < 2) as unfinished
          from lineshaft.backfill o
         where schedule = any(%(schedules)s::text[]) and ended_at is null for update of o) as b;

-- name: settle_lost
-- Nobody noted their end: their jobs were deleted, or restored from a backup that did not have them.
update lineshaft.tick t set state = 2
 where schedule = %(schedule)s and run = %(run)s and state < 2
   and not exists (select from lineshaft.job j where j.id = t.job);

-- name: known_ticks
select distinct at from lineshaft.tick
 where schedule = %(schedule)s and at between %(first)s and %(last)s and run <> %(manual)s
   and (job is not null or state < 2);

-- name: withdraw_ticks
delete from lineshaft.tick where schedule = %(schedule)s and at = any(%(ticks)s::bigint[]) and run = %(run)s;

-- name: move_backfill
update lineshaft.backfill
   set next_at = %(next_at)s, enqueued = enqueued + %(enqueued)s, ended_at = %(ended_at)s
 where id = %(id)s and ended_at is null;

-- name: settle_ended
-- Of a backfill that was cancelled: the ends that nobody was shown.
update lineshaft.tick t set state = 2
 where state < 2 and run = any(array(select id from lineshaft.backfill where ended_at < %(before)s))
   and not exists (select from lineshaft.job j where j.id = t.job);

-- name: prune_backfills
-- While a job of it is unfinished, its tick has to be known as that of a backfill.
with gone as (
    delete from lineshaft.backfill b
     where ended_at < %(before)s
       and not exists (select from lineshaft.tick t where t.schedule = b.schedule and t.run = b.id and t.state < 2)
    returning 1
)
select count(*) from gone;
