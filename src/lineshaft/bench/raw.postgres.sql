-- name: insert_one
insert into lineshaft.raw_job (id, queue, name, rank, run_at, stage, created_at, max_attempts, args)
values (%(id)s::uuid, 'single', 'raw.noop', 0, %(now)s, 1, %(now)s, 3, '[[7],{}]');

-- name: fill
insert into lineshaft.raw_job (id, queue, name, rank, run_at, stage, created_at, max_attempts, args)
select ('00000000-0000-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid, 'raw', 'raw.noop', 0, %(now)s, 1, %(now)s, 3,
       '[[7],{}]'
  from generate_series(1, %(count)s::integer) as n;

-- name: claim
update lineshaft.raw_job set worker = 1, claim = claim + 1, attempt = attempt + 1, started_at = %(now)s
 where ctid = any(array(
    select ctid from lineshaft.raw_job where stage = 1 and queue = 'raw' and worker is null
     order by rank, run_at, id limit %(limit)s for update skip locked))
returning id::text, claim, name, args;

-- name: finish
-- The rows come sorted by their ids.
with gone as (
    delete from lineshaft.raw_job
     where id = any(%(id)s::uuid[]) and worker = 1
       and claim = (%(claim)s::integer[])[width_bucket(id, %(id)s::uuid[])]
    returning *
)
insert into lineshaft.raw_history
select id, queue, name, rank, run_at, 10, created_at, started_at, worker, claim, attempt, attempts_before,
       max_attempts, losses, deadline, tenant, tags, meta, options, context, args, progress, errors, null,
       (%(result)s::text[])[width_bucket(id, %(id)s::uuid[])], %(now)s, 0
  from gone;

-- name: settings
select current_setting('synchronous_commit');

-- name: drop_raw
-- The schema was made for these tables alone; no statement can name it but by what lies in it.
do $$ begin
    execute 'drop schema ' || (select quote_ident(nspname) from pg_class c join pg_namespace n on n.oid = relnamespace
                                where c.oid = 'lineshaft.raw_job'::regclass) || ' cascade';
end $$;

-- name: forget_queue
delete from lineshaft.queue where name = %(queue)s;

-- name: completed_span
select count(*), min(started_at), max(finished_at) from lineshaft.history
 where id = any(%(ids)s::uuid[]) and stage = 10;
