-- name: watched_tasks
select watches, name from lineshaft_schedule where watches is not null;

-- name: note_completed json
-- Once a second at most, however many jobs complete. What lies ahead was written by a clock that was wrong.
update lineshaft_schedule set succeeded_at = :now
 where name in (select value from json_each(:names))
   and (succeeded_at is null or succeeded_at < :second or succeeded_at > :too_late);
select json_group_array(json_array(name)) from lineshaft_schedule
 where name in (select value from json_each(:names)) and overdue_at is not null;

-- name: call_leader rings-worker
update lineshaft_schedule set due_at = :now where name in (select value from json_each(:names));

-- name: suspects json
-- In two parts, each with an index: what a leader has found, and what no leader has looked at in time.
select json_group_array(json_array(name, declared, overrides, updated_at, removed_at, paused_at, succeeded_at,
                                   succeeded_tick, overdue_at))
  from (select * from lineshaft_schedule where overdue_at is not null
        union all
        select * from lineshaft_schedule where due_at <= :now and overdue_at is null);

-- name: last_tick
select at, state, job, note from lineshaft_tick
 where schedule = :schedule and run = '' and at >= :since order by at desc limit 1;
