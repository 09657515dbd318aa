-- The live table holds what is not finished, the history what is (docs/architecture.md, "Storage").
-- No column that a claim writes stands in an index or an index predicate, so that a claim is a HOT update.
create table lineshaft.job (
    id uuid primary key,
    queue text collate "C" not null,
    name text collate "C" not null,
    rank smallint not null,                  -- minus the priority, so that the index runs upward
    run_at bigint not null,                  -- instants are microseconds since the epoch
    stage smallint not null,                 -- transitions.Stage: 0 scheduled, 1 ready, 2 retrying
    created_at bigint not null,
    started_at bigint,
    worker bigint,                           -- not null: a worker holds the job
    claim integer not null default 0,
    attempt integer not null default 0,
    attempts_before integer not null default 0,
    max_attempts integer not null,
    losses smallint not null default 0,
    is_isolated boolean not null default false,
    cancel_requested boolean not null default false,
    cancel_requested_at bigint,              -- of a job that ran: when it was first asked to stop
    is_awaited boolean not null default false,   -- somebody wants to hear of its end,
    is_followed boolean not null default false,  -- and of whatever else happens to it
    deadline bigint,
    unknown_since bigint,
    tenant text,
    tags text,                               -- JSON array of texts
    meta text,                               -- JSON object
    options text,                            -- JSON object: what .options() was given
    context text,                            -- JSON object: carried context
    args text not null,                      -- JSON
    progress text,                           -- JSON array: fraction, message, at
    errors text                              -- one JSON object a line, one line a failed attempt
) with (
    fillfactor = 50,                         -- room for the claim's new version on the same page
    autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000, autovacuum_vacuum_cost_delay = 0,
    autovacuum_analyze_scale_factor = 0, autovacuum_analyze_threshold = 50000,
    vacuum_truncate = off                    -- truncation takes an exclusive lock
);
create index job_ready on lineshaft.job (queue, rank, run_at, id) where stage = 1;
create index job_due on lineshaft.job (run_at) where stage in (0, 2);
create index job_deadline on lineshaft.job (deadline) where deadline is not null;

-- One partition a day of expiry, dropped whole.
create table lineshaft.history (
    id uuid not null,
    queue text collate "C" not null,
    name text collate "C" not null,
    rank smallint not null,
    run_at bigint not null,
    stage smallint not null,
    created_at bigint not null,
    started_at bigint,
    worker bigint,
    claim integer not null,
    attempt integer not null,
    attempts_before integer not null,
    max_attempts integer not null,
    losses smallint not null,
    deadline bigint,
    tenant text,
    tags text,
    meta text,
    options text,
    context text,
    args text not null,
    progress text,
    errors text,
    reason text,
    result text,
    finished_at bigint not null,
    expires_at bigint not null
) partition by range (expires_at);
create index history_id on lineshaft.history (id);
create index history_unsuccessful on lineshaft.history (id) where stage > 10;
create table lineshaft.history_rest partition of lineshaft.history default;

-- Makes the partitions of the coming days. Rows of such a day that were stored before it had one are moved over.
-- Attaching waits for no finish and no read but those of the default partition; who reads that for long makes it
-- give up, and the next call tries again.
create function lineshaft.ensure_history(from_instant bigint, days integer) returns void language plpgsql
    set lock_timeout = '100ms' as $$
declare
    day_length constant bigint := 86400000000;
    first_day bigint := from_instant / day_length;
    partition_name text;
begin
    for day in first_day .. first_day + days loop
        partition_name := 'history_' || to_char(to_timestamp(day * 86400) at time zone 'UTC', 'YYYYMMDD');
        continue when to_regclass(format('lineshaft.%I', partition_name)) is not null;
        perform lineshaft.make_history_day(partition_name, day * day_length, (day + 1) * day_length);
    end loop;
exception when lock_not_available or duplicate_table or deadlock_detected then
    raise notice 'the coming days of the history are made later: %', sqlerrm;
end $$;

create function lineshaft.make_history_day(partition_name text, first_instant bigint, end_instant bigint)
    returns void language plpgsql as $$
declare
    move constant text := format(
        'with moved as (delete from lineshaft.history_rest where expires_at >= %s and expires_at < %s returning *)'
        ' insert into lineshaft.%I select * from moved', first_instant, end_instant, partition_name);
begin
    lock table only lineshaft.history in share update exclusive mode;
    execute format('create table lineshaft.%I (like lineshaft.history including defaults including constraints)',
                   partition_name);
    execute move;
    lock table lineshaft.history_rest in access exclusive mode;
    execute move;   -- what came while the first move went on
    execute format('alter table lineshaft.history attach partition lineshaft.%I for values from (%s) to (%s)',
                   partition_name, first_instant, end_instant);
end $$;

create table lineshaft.queue (
    name text collate "C" primary key,
    paused_at bigint,
    max_depth integer,
    paused_by text,                          -- who paused it, and why, as they said
    pause_reason text
);

create table lineshaft.worker (
    id bigint generated always as identity primary key,   -- never used twice: it is half of the fence
    host text not null,
    pid integer not null,
    version text not null,
    queues text not null,                    -- JSON object: queue to concurrency
    tasks text not null,                     -- JSON array of task names
    started_at bigint not null,
    heartbeat_at bigint not null,
    server text not null,                    -- the start of the server on which its lock was taken
    is_idle boolean not null default false,
    is_draining boolean not null default false,
    load text,                               -- JSON: its slots, and of each queue what it holds and has ended
    blocked text                             -- JSON: the job that blocks its event loop, while one does
) with (fillfactor = 20);

create table lineshaft.job_log (
    job uuid not null,
    claim integer not null,
    attempt integer not null,
    lines text not null,
    written_at bigint not null,
    primary key (job, claim)
);
create index job_log_written on lineshaft.job_log (written_at);
