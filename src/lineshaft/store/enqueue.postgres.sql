-- name: insert_job
-- One statement, one round trip, one transaction. Nothing is stored when the queue is fair, or has a depth limit, which
-- has to be checked under the queue's lock. NOTIFY takes a lock of the whole server at commit: see insert_jobs.
insert into lineshaft.job (id, queue, name, rank, run_at, stage, created_at, max_attempts, deadline,
                           tenant, tags, meta, options, context, args)
select %(id)s::uuid, %(queue)s::text, %(name)s::text, %(rank)s::smallint, %(run_at)s::bigint, %(stage)s::smallint,
       %(created_at)s::bigint, %(max_attempts)s::integer, %(deadline)s::bigint, %(tenant)s::text, %(tags)s::text,
       %(meta)s::text, %(options)s::text, %(context)s::text, %(args)s::text
 where not exists (select from lineshaft.queue
                    where (max_depth is not null or max_depth_per_tenant is not null or is_fair)
                      and name = %(queue)s::text)
returning case when exists (select from lineshaft.worker where is_idle)
               then pg_notify('lineshaft_worker', %(queue)s::text) is null end;

-- name: insert_like_jobs
-- Jobs that differ in id and arguments only: what they share is sent once, which halves the work of insert_jobs.
with inserted as (
    insert into lineshaft.job (id, queue, name, rank, run_at, stage, created_at, max_attempts, deadline,
                               tenant, tags, meta, options, context, args)
    select r.id, %(queue)s::text, %(name)s::text, %(rank)s::smallint, %(run_at)s::bigint, %(stage)s::smallint,
           %(created_at)s::bigint, %(max_attempts)s::integer, %(deadline)s::bigint, %(tenant)s::text, %(tags)s::text,
           %(meta)s::text, %(options)s::text, %(context)s::text, r.args
      from json_to_recordset(%(rows)s::json) as r (id uuid, args text)
     where not exists (select from lineshaft.queue
                    where (max_depth is not null or max_depth_per_tenant is not null or is_fair)
                      and name = %(queue)s::text)
        on conflict (id) do nothing
    returning 1
)
select count(*),
       (select count(pg_notify('lineshaft_worker', %(queue)s::text)) from (select from inserted limit 1) as woken
         where exists (select from lineshaft.worker where is_idle))
  from inserted;

-- name: insert_jobs
-- Nothing is stored when a queue is fair, or has a depth limit and the caller has not checked it under the queue's lock.
-- NOTIFY takes a lock of the whole server at commit, so it is sent only while some worker sleeps.
with incoming as materialized (
    select * from json_to_recordset(%(rows)s::json) as r (
        id uuid, queue text, name text, rank smallint, run_at bigint, stage smallint, created_at bigint,
        max_attempts integer, deadline bigint, tenant text, tags text, meta text, options text, context text,
        args text)
), inserted as (
    insert into lineshaft.job (id, queue, name, rank, run_at, stage, created_at, max_attempts, deadline,
                               tenant, tags, meta, options, context, args)
    select id, queue, name, rank, run_at, stage, created_at, max_attempts, deadline,
           tenant, tags, meta, options, context, args
      from incoming
     where %(is_checked)s::boolean
        or not exists (select from lineshaft.queue q
                        where (q.max_depth is not null or q.max_depth_per_tenant is not null or q.is_fair)
                          and q.name in (select i.queue from incoming i))
        on conflict (id) do nothing
    returning queue
)
select count(*),
       (select count(pg_notify('lineshaft_worker', queue)) from (select distinct queue from inserted) as woken
         where exists (select from lineshaft.worker where is_idle))
  from inserted;

-- name: insert_placed_jobs
-- As insert_jobs, for jobs that stand in a line, in a strict order, or at a turn.
with incoming as materialized (
    select * from json_to_recordset(%(rows)s::json) as r (
        id uuid, queue text, name text, rank smallint, run_at bigint, stage smallint, created_at bigint,
        max_attempts integer, deadline bigint, tenant text, tags text, meta text, options text, context text,
        args text, gate text, turn bigint, sequence text, fair text)
), inserted as (
    insert into lineshaft.job (id, queue, name, rank, run_at, stage, created_at, max_attempts, deadline,
                               tenant, tags, meta, options, context, args, gate, turn, sequence, fair)
    select id, queue, name, rank, run_at, stage, created_at, max_attempts, deadline,
           tenant, tags, meta, options, context, args, gate, turn, sequence, fair
      from incoming
     where %(is_checked)s::boolean
        or not exists (select from lineshaft.queue q
                        where ((q.max_depth is not null or q.max_depth_per_tenant is not null)
                               and q.name in (select i.queue from incoming i))
                           or (q.is_fair and q.name in (select i.queue from incoming i where i.fair is null)))
        on conflict (id) do nothing
    returning queue, stage
)
select count(*),
       (select count(pg_notify('lineshaft_worker', queue)) from (select distinct queue from inserted where stage < 5) as woken
         where exists (select from lineshaft.worker where is_idle))
  from inserted;

-- name: insert_placed_like_jobs
-- As insert_like_jobs, for jobs that stand in a line, in a strict order, or at a turn.
with incoming as materialized (
    select * from json_to_recordset(%(rows)s::json) as r (
        id uuid, args text, stage smallint, gate text, turn bigint, sequence text, fair text)
), inserted as (
    insert into lineshaft.job (id, queue, name, rank, run_at, stage, created_at, max_attempts, deadline,
                               tenant, tags, meta, options, context, args, gate, turn, sequence, fair)
    select id, %(queue)s::text, %(name)s::text, %(rank)s::smallint, %(run_at)s::bigint, stage, %(created_at)s::bigint,
           %(max_attempts)s::integer, %(deadline)s::bigint, %(tenant)s::text, %(tags)s::text, %(meta)s::text,
           %(options)s::text, %(context)s::text, args, gate, turn, sequence, fair
      from incoming
     where not exists (select from lineshaft.queue q
                        where q.name = %(queue)s::text
                          and (q.max_depth is not null or q.max_depth_per_tenant is not null
                               or (q.is_fair and exists (select from incoming i where i.fair is null))))
        on conflict (id) do nothing
    returning stage
)
select count(*),
       (select count(pg_notify('lineshaft_worker', %(queue)s::text))
          from (select from inserted where stage < 5 limit 1) as woken
         where exists (select from lineshaft.worker where is_idle))
  from inserted;

-- name: fair_queues
select name from lineshaft.queue where is_fair and name = any(%(queues)s::text[]) order by queue.name;

-- name: drop_finished_resends
-- The insert has waited for whoever held these ids, so what the first send led to is visible by now: a job that
-- was stored, run and moved to the history meanwhile must not run again.
delete from lineshaft.job
 where id = any(%(ids)s::uuid[]) and claim = 0
   and id in (select h.id from lineshaft.history h where h.id = any(%(ids)s::uuid[]))
returning id::text;

-- name: existing_ids
select id::text from lineshaft.job where id = any(%(ids)s::uuid[])
union
select id::text from lineshaft.history where id = any(%(ids)s::uuid[]);
