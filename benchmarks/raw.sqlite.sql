-- The least that SQLite has to do for a durable job: the columns that Lineshaft writes, an index on the ids and one that
-- gives ready jobs in order. Independent of Lineshaft's own schema, so that a change there shows in the ratio.

-- name: create
create table raw_job (
    seq integer primary key autoincrement, id text not null, queue text not null, name text not null,
    rank integer not null, run_at integer not null, stage integer not null, created_at integer not null,
    started_at integer, worker integer, claim integer not null default 0, attempt integer not null default 0,
    attempts_before integer not null default 0, max_attempts integer not null, losses integer not null default 0,
    is_isolated integer not null default 0, cancel_requested integer not null default 0,
    cancel_requested_at integer, deadline integer,
    unknown_since integer, tenant text, tags text, meta text, options text, context text, args text not null,
    progress text, errors text, reason text, result text, finished_at integer, expires_at integer
);
create unique index raw_job_id on raw_job (id);
create index raw_job_ready on raw_job (queue, rank, run_at, id) where stage = 1;

-- name: insert
insert into raw_job (id, queue, name, rank, run_at, stage, created_at, max_attempts, args)
values (?, 'bench', 'noop', 0, ?, 1, ?, 3, ?);

-- name: claim
update raw_job set worker = 1, claim = claim + 1, attempt = attempt + 1, started_at = ?
 where seq in (select seq from raw_job where stage = 1 and queue = 'bench' and worker is null
                order by rank, run_at, id limit ?)
returning seq, claim, name, args;

-- name: finish
update raw_job set stage = 10, result = r.value ->> 2, finished_at = ?, expires_at = 0 from json_each(?) as r
 where seq = r.value ->> 0 and claim = r.value ->> 1 and worker = 1 and stage = 1;
