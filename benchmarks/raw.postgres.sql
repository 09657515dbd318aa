-- The least that PostgreSQL has to do for a durable job: the columns that Lineshaft writes, a live table with the ids'
-- index and one that gives ready jobs in order, a history with the ids'. Independent of Lineshaft's own schema, so that
-- a change there shows in the ratio. A claim touches no indexed column (a HOT update), a finish is one statement.

-- name: create
create table raw_job (
    id uuid primary key, queue text collate "C" not null, name text collate "C" not null, rank smallint not null,
    run_at bigint not null, stage smallint not null, created_at bigint not null, started_at bigint, worker bigint,
    claim integer not null default 0, attempt integer not null default 0, attempts_before integer not null default 0,
    max_attempts integer not null, losses smallint not null default 0, is_isolated boolean not null default false,
    cancel_requested boolean not null default false, cancel_requested_at bigint,
    is_awaited boolean not null default false, is_followed boolean not null default false, deadline bigint,
    unknown_since bigint, tenant text, tags text, meta text, options text, context text, args text not null,
    progress text, errors text
) with (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000);
create index raw_job_ready on raw_job (queue, rank, run_at, id) where stage = 1;
create table raw_history (
    id uuid not null, queue text collate "C" not null, name text collate "C" not null, rank smallint not null,
    run_at bigint not null, stage smallint not null, created_at bigint not null, started_at bigint, worker bigint,
    claim integer not null, attempt integer not null, attempts_before integer not null, max_attempts integer not null,
    losses smallint not null, deadline bigint, tenant text, tags text, meta text, options text, context text,
    args text not null, progress text, errors text, reason text, result text, finished_at bigint not null,
    expires_at bigint not null
);
create index raw_history_id on raw_history (id);

-- name: insert
insert into raw_job (id, queue, name, rank, run_at, stage, created_at, max_attempts, args)
values (%s, 'bench', 'noop', 0, %s, 1, %s, 3, %s);

-- name: copy
copy raw_job (id, queue, name, rank, run_at, stage, created_at, max_attempts, args) from stdin;

-- name: claim
update raw_job set worker = 1, claim = claim + 1, attempt = attempt + 1, started_at = %s
 where ctid = any(array(
    select ctid from raw_job where stage = 1 and queue = 'bench' and worker is null
     order by rank, run_at, id limit %s for update skip locked))
returning id::text, claim, name, args;

-- name: finish
with gone as (
    delete from raw_job
     where id = any(%(id)s::uuid[]) and worker = 1
       and claim = (%(claim)s::integer[])[width_bucket(id, %(id)s::uuid[])]
    returning *
)
insert into raw_history
select id, queue, name, rank, run_at, 10, created_at, started_at, worker, claim, attempt, attempts_before,
       max_attempts, losses, deadline, tenant, tags, meta, options, context, args, progress, errors, null,
       (%(result)s::text[])[width_bucket(id, %(id)s::uuid[])], %(now)s, 0
  from gone;
