-- The least that SQLite has to do for a durable job: the columns that the store writes, an index on the ids and one
-- that gives ready jobs in order.
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
