-- name: insert_backfill
insert into lineshaft_backfill (id, schedule, since, until, at_most, only_missing, next_at, enqueued, created_at)
values (:id, :schedule, :since, :until, :at_most, :only_missing, :next_at, :enqueued, :created_at)
    on conflict (id) do nothing;

-- name: call_leader rings-worker
update lineshaft_schedule set due_at = :now where name = :schedule;
select changes();

-- name: get_backfill
select id, schedule, since, until, at_most, only_missing, next_at, enqueued, created_at, ended_at,
       (select count(*) from lineshaft_tick t join lineshaft_job j on j.id = t.job and j.stage < 10
         where t.schedule = b.schedule and t.run = b.id and t.state < 2), 0
  from lineshaft_backfill b where id = :id;

-- name: list_backfills
select id, schedule, since, until, at_most, only_missing, next_at, enqueued, created_at, ended_at,
       (select count(*) from lineshaft_tick t join lineshaft_job j on j.id = t.job and j.stage < 10
         where t.schedule = b.schedule and t.run = b.id and t.state < 2), 0
  from lineshaft_backfill b where schedule = :schedule order by id desc limit :limit;

-- name: cancel_backfill
-- Only one that is cancelled ends with something left to do.
update lineshaft_backfill set ended_at = :now, next_at = coalesce(next_at, until) where id = :id and ended_at is null;
select changes();

-- name: open_backfills json
select json_group_array(json_array(
           b.id, b.schedule, b.since, b.until, b.at_most, b.only_missing, b.next_at, b.enqueued, b.created_at,
           b.ended_at, b.unfinished, b.noted - b.unfinished))
  from (select *,
               (select count(*) from lineshaft_tick t
                 where t.schedule = o.schedule and t.run = o.id and t.state < 2) as noted,
               (select count(*) from lineshaft_tick t join lineshaft_job j on j.id = t.job and j.stage < 10
                 where t.schedule = o.schedule and t.run = o.id and t.state < 2) as unfinished
          from lineshaft_backfill o
         where schedule in (select value from json_each(:schedules)) and ended_at is null) as b;

-- name: settle_lost
-- Nobody noted their end: their jobs were deleted, or restored from a backup that did not have them.
update lineshaft_tick set state = 2
 where schedule = :schedule and run = :run and state < 2
   and not exists (select 1 from lineshaft_job j where j.id = lineshaft_tick.job and j.stage < 10);

-- name: known_ticks
select distinct at from lineshaft_tick
 where schedule = :schedule and at between :first and :last and run <> :manual and (job is not null or state < 2);

-- name: withdraw_ticks
delete from lineshaft_tick where schedule = :schedule and run = :run and at in (select value from json_each(:ticks));

-- name: move_backfill
update lineshaft_backfill set next_at = :next_at, enqueued = enqueued + :enqueued, ended_at = :ended_at
 where id = :id and ended_at is null;

-- name: settle_ended
-- Of a backfill that was cancelled: the ends that nobody was shown.
update lineshaft_tick set state = 2
 where state < 2 and run in (select id from lineshaft_backfill where ended_at < :before)
   and not exists (select 1 from lineshaft_job j where j.id = lineshaft_tick.job and j.stage < 10);

-- name: prune_backfills
-- While a job of it is unfinished, its tick has to be known as that of a backfill.
delete from lineshaft_backfill
 where ended_at < :before
   and not exists (select 1 from lineshaft_tick t
                    where t.schedule = lineshaft_backfill.schedule and t.run = lineshaft_backfill.id and t.state < 2);
select changes();
