-- One table: what is not finished stands in the small partial indexes, what is finished in none but the ids'
-- (docs/architecture.md, "Storage"). No column that a claim writes stands in an index or an index predicate.
create table lineshaft_job (
    seq integer primary key autoincrement,   -- never used twice, also after pruning
    id text not null,
    queue text not null,
    name text not null,
    rank integer not null,                   -- minus the priority, so that the index runs upward
    run_at integer not null,                 -- instants are microseconds since the epoch
    stage integer not null,                  -- transitions.Stage: 0 scheduled, 1 ready, 2 retrying, from 10 finished
    created_at integer not null,
    started_at integer,
    worker integer,                          -- not null and stage 1: a worker holds the job
    claim integer not null default 0,
    attempt integer not null default 0,
    attempts_before integer not null default 0,
    max_attempts integer not null,
    losses integer not null default 0,
    is_isolated integer not null default 0,
    cancel_requested integer not null default 0,
    cancel_requested_at integer,             -- of a job that ran: when it was first asked to stop
    deadline integer,
    unknown_since integer,
    tenant text,
    tags text,                               -- JSON array of texts
    meta text,                               -- JSON object
    options text,                            -- JSON object: what .options() was given
    context text,                            -- JSON object: carried context
    args text not null,                      -- JSON
    progress text,                           -- JSON array: fraction, message, at
    errors text,                             -- one JSON object a line, one line a failed attempt
    reason text,
    result text,
    finished_at integer,
    expires_at integer
);
create unique index lineshaft_job_id on lineshaft_job (id);
create index lineshaft_job_ready on lineshaft_job (queue, rank, run_at, id) where stage = 1;
create index lineshaft_job_due on lineshaft_job (run_at) where stage in (0, 2);
create index lineshaft_job_deadline on lineshaft_job (deadline) where deadline is not null and stage < 10;
create index lineshaft_job_live on lineshaft_job (id) where stage < 10;
create index lineshaft_job_unsuccessful on lineshaft_job (id) where stage > 10;

create table lineshaft_queue (
    name text primary key,
    paused_at integer,
    max_depth integer,
    paused_by text,                          -- who paused it, and why, as they said
    pause_reason text
) without rowid;

create table lineshaft_worker (
    id integer primary key autoincrement,    -- never used twice: it is half of the fence
    host text not null,
    pid integer not null,
    version text not null,
    queues text not null,                    -- JSON object: queue to concurrency
    tasks text not null,                     -- JSON array of task names
    started_at integer not null,
    heartbeat_at integer not null,
    server text not null,
    is_idle integer not null default 0,
    is_draining integer not null default 0,
    load text,                               -- JSON: its slots, and of each queue what it holds and has ended
    blocked text                             -- JSON: the job that blocks its event loop, while one does
);

create table lineshaft_job_log (
    job text not null,
    claim integer not null,
    attempt integer not null,
    lines text not null,
    written_at integer not null,
    primary key (job, claim)
) without rowid;
create index lineshaft_job_log_written on lineshaft_job_log (written_at);
