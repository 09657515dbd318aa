-- name: epoch_began_at
select max(began_at) from lineshaft_epoch;

-- name: lock_store
-- The write transaction is the lock.
select 1 where 0;

-- name: last_worker
-- The greatest number that a worker was ever given.
select coalesce(max(number), 0) from (
    select seq as number from sqlite_sequence where name = 'lineshaft_worker'
    union all select first_worker - 1 from lineshaft_epoch);

-- name: empty_store
-- What is known of blocks of jobs goes too: the pruner looks at all of them anew.
delete from lineshaft_job;
delete from lineshaft_job_log;
delete from lineshaft_unique_key;
delete from lineshaft_queue;
delete from lineshaft_schedule;
delete from lineshaft_tick;
delete from lineshaft_backfill;
delete from lineshaft_limit_rule;
delete from lineshaft_gate;
delete from lineshaft_slot;
delete from lineshaft_queue_grant;
delete from lineshaft_fair;
delete from lineshaft_limit_course;
delete from lineshaft_worker;
delete from lineshaft_epoch;
delete from lineshaft_block;

-- name: begin_epoch
insert into lineshaft_epoch (first_worker, began_at) values (:first_worker, :now);
delete from sqlite_sequence where name = 'lineshaft_worker';
insert into sqlite_sequence (name, seq) values ('lineshaft_worker', :first_worker - 1);
