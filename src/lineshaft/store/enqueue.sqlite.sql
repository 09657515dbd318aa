-- name: insert_job rings-worker
-- One statement, one transaction. Nothing is stored when the queue has a depth limit or is fair: see insert_jobs.
insert into lineshaft_job (id, queue, name, rank, run_at, stage, created_at, max_attempts, deadline,
                 tenant, tags, meta, options, context, args)
select :id, :queue, :name, :rank, :run_at, :stage, :created_at, :max_attempts, :deadline,
       :tenant, :tags, :meta, :options, :context, :args
 where not exists (select 1 from lineshaft_queue
                    where (max_depth is not null or max_depth_per_tenant is not null or is_fair) and name = :queue);

-- name: insert_like_jobs rings-worker
-- Jobs that differ in id and arguments only: what they share is sent once; insert_jobs takes three times as long.
insert into lineshaft_job (id, queue, name, rank, run_at, stage, created_at, max_attempts, deadline,
                 tenant, tags, meta, options, context, args)
select value ->> 'id', :queue, :name, :rank, :run_at, :stage, :created_at, :max_attempts, :deadline,
       :tenant, :tags, :meta, :options, :context, value ->> 'args'
  from json_each(:rows)
 where not exists (select 1 from lineshaft_queue
                    where (max_depth is not null or max_depth_per_tenant is not null or is_fair) and name = :queue)
    on conflict (id) do nothing;
select changes();

-- name: insert_jobs rings-worker
-- Nothing is stored when a queue is fair, or has a depth limit and the caller has not checked it under the queue's lock.
insert into lineshaft_job (id, queue, name, rank, run_at, stage, created_at, max_attempts, deadline,
                 tenant, tags, meta, options, context, args)
select value ->> 'id', value ->> 'queue', value ->> 'name', value ->> 'rank', value ->> 'run_at', value ->> 'stage',
       value ->> 'created_at', value ->> 'max_attempts', value ->> 'deadline', value ->> 'tenant', value ->> 'tags',
       value ->> 'meta', value ->> 'options', value ->> 'context', value ->> 'args'
  from json_each(:rows)
 where :is_checked
    or not exists (select 1 from lineshaft_queue
                    where (max_depth is not null or max_depth_per_tenant is not null or is_fair)
                      and name in (select value ->> 'queue' from json_each(:rows)))
    on conflict (id) do nothing;
select changes();

-- name: insert_placed_jobs rings-worker
-- As insert_jobs, for jobs that stand in a line, in a strict order, or at a turn.
insert into lineshaft_job (id, queue, name, rank, run_at, stage, created_at, max_attempts, deadline,
                 tenant, tags, meta, options, context, args, gate, turn, sequence, fair)
select value ->> 'id', value ->> 'queue', value ->> 'name', value ->> 'rank', value ->> 'run_at', value ->> 'stage',
       value ->> 'created_at', value ->> 'max_attempts', value ->> 'deadline', value ->> 'tenant', value ->> 'tags',
       value ->> 'meta', value ->> 'options', value ->> 'context', value ->> 'args', value ->> 'gate',
       value ->> 'turn', value ->> 'sequence', value ->> 'fair'
  from json_each(:rows)
 where :is_checked
    or not exists (select 1 from lineshaft_queue q
                    where ((max_depth is not null or max_depth_per_tenant is not null)
                           and name in (select value ->> 'queue' from json_each(:rows)))
                       or (is_fair and exists (select 1 from json_each(:rows)
                                                where value ->> 'queue' = q.name and value ->> 'fair' is null)))
    on conflict (id) do nothing;
select changes();

-- name: insert_placed_like_jobs rings-worker
-- As insert_like_jobs, for jobs that stand in a line, in a strict order, or at a turn.
insert into lineshaft_job (id, queue, name, rank, run_at, stage, created_at, max_attempts, deadline,
                 tenant, tags, meta, options, context, args, gate, turn, sequence, fair)
select value ->> 'id', :queue, :name, :rank, :run_at, value ->> 'stage', :created_at, :max_attempts, :deadline,
       :tenant, :tags, :meta, :options, :context, value ->> 'args', value ->> 'gate', value ->> 'turn',
       value ->> 'sequence', value ->> 'fair'
  from json_each(:rows)
 where not exists (select 1 from lineshaft_queue
                    where name = :queue
                      and (max_depth is not null or max_depth_per_tenant is not null
                           or (is_fair and exists (select 1 from json_each(:rows) where value ->> 'fair' is null))))
    on conflict (id) do nothing;
select changes();

-- name: fair_queues
select name from lineshaft_queue where is_fair and name in (select value from json_each(:queues)) order by name;

-- name: drop_finished_resends
-- One table: the ids' unique index has kept a finished job from being stored again.
select value from json_each(:ids) where 0;

-- name: existing_ids
select id from lineshaft_job where id in (select value from json_each(:ids));
