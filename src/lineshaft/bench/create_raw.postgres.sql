-- The least that PostgreSQL has to do for a durable job: the columns that the store writes, a live table with the ids'
-- index and one that gives ready jobs in order, a history with the ids'.
create schema if not exists lineshaft;
create table lineshaft.raw_job (
    id uuid primary key, queue text collate "C" not null, name text collate "C" not null, rank smallint not null,
    run_at bigint not null, stage smallint not null, created_at bigint not null, started_at bigint, worker bigint,
    claim integer not null default 0, attempt integer not null default 0, attempts_before integer not null default 0,
    max_attempts integer not null, losses smallint not null default 0, is_isolated boolean not null default false,
    cancel_requested boolean not null default false, cancel_requested_at bigint,
    is_awaited boolean not null default false, is_followed boolean not null default false, deadline bigint,
    unknown_since bigint, tenant text, tags text, meta text, options text, context text, args text not null,
    progress text, errors text
) with (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000);
create index raw_job_ready on lineshaft.raw_job (queue, rank, run_at, id) where stage = 1;
create table lineshaft.raw_history (
    id uuid not null, queue text collate "C" not null, name text collate "C" not null, rank smallint not null,
    run_at bigint not null, stage smallint not null, created_at bigint not null, started_at bigint, worker bigint,
    claim integer not null, attempt integer not null, attempts_before integer not null, max_attempts integer not null,
    losses smallint not null, deadline bigint, tenant text, tags text, meta text, options text, context text,
    args text not null, progress text, errors text, reason text, result text, finished_at bigint not null,
    expires_at bigint not null
);
create index raw_history_id on lineshaft.raw_history (id);
