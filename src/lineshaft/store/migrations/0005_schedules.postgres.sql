-- Schedules and the leader. Not additive: code that does not know them rejects the jobs that carry their tick.

-- One row at most: the worker that does once for all what has to be done once (docs/decisions/0033).
create table lineshaft.leader (
    one integer primary key check (one = 1),
    worker bigint not null,
    term bigint not null,                    -- grows with each election
    elected_at bigint not null
) with (fillfactor = 50);

create table lineshaft.schedule (
    name text collate "C" primary key,
    source text not null,                    -- 'code', 'runtime' or 'system'
    declared_by text,                        -- the app whose code declares it
    declared text not null,                  -- JSON object: what the code, or whoever created it, says
    overrides text,                          -- JSON object: what a person changed of it at run time
    watches text,                            -- of action "check": the task whose jobs have to complete
    version integer not null,                -- grows with each change: a tick counts only for the one it was made of
    created_at bigint not null,
    updated_at bigint not null,
    removed_at bigint,                       -- since when no code declares it any more
    paused_at bigint,
    paused_by text,
    pause_reason text,
    next_at bigint,                          -- its next tick; null: there is none, or it waits for a job to end
    due_at bigint,                           -- when the leader has to look at it; null: never
    last_at bigint,                          -- its latest tick
    last_job uuid,                           -- the job of the latest tick that has one
    succeeded_at bigint,                     -- dead man's switch: when one of its jobs last completed
    succeeded_tick bigint,                   -- and the latest tick of those that did
    overdue_at bigint                        -- dead man's switch: since when one should have; null: all is well
) with (fillfactor = 50);
create index schedule_due on lineshaft.schedule (due_at) where due_at is not null;
create index schedule_overdue on lineshaft.schedule (overdue_at) where overdue_at is not null;
-- What every worker reads when it starts.
create index schedule_declared on lineshaft.schedule (declared_by) where declared_by is not null;
-- What every worker reads again and again: which tasks are watched.
create index schedule_watches on lineshaft.schedule (watches) where watches is not null;

-- What became of each tick. That there is one row for each is what makes its job the only one.
create table lineshaft.tick (
    schedule text collate "C" not null,
    run text collate "C" not null,           -- '': by the clock; 'manual'; else the backfill's id
    at bigint not null,
    state smallint not null,                 -- features.schedules.records.TickState; below 2: not settled
    job uuid,
    decided_at bigint not null,
    note text,
    primary key (schedule, at, run)
);
create index tick_open on lineshaft.tick (schedule, at, run) where state < 2;

create table lineshaft.backfill (
    id text collate "C" primary key,
    schedule text collate "C" not null,
    since bigint not null,
    until bigint not null,
    at_most integer not null,                -- how many of its jobs are unfinished at once
    only_missing boolean not null,
    next_at bigint,                          -- the first tick that it has not enqueued; null: none is left
    enqueued integer not null,               -- how many it has
    created_at bigint not null,
    ended_at bigint                          -- when the last of its jobs ended, or it was cancelled
);
create index backfill_open on lineshaft.backfill (schedule) where ended_at is null;
create index backfill_schedule on lineshaft.backfill (schedule, id);
