-- Schedules and the leader. Not additive: code that does not know them rejects the jobs that carry their tick.

-- One row at most: the worker that does once for all what has to be done once (docs/decisions/0033).
create table lineshaft_leader (
    one integer primary key check (one = 1),
    worker integer not null,
    term integer not null,                    -- grows with each election
    elected_at integer not null
);

create table lineshaft_schedule (
    name text primary key,
    source text not null,                    -- 'code', 'runtime' or 'system'
    declared_by text,                        -- the app whose code declares it
    declared text not null,                  -- JSON object: what the code, or whoever created it, says
    overrides text,                          -- JSON object: what a person changed of it at run time
    watches text,                            -- of action "check": the task whose jobs have to complete
    version integer not null,                -- grows with each change: a tick counts only for the one it was made of
    created_at integer not null,
    updated_at integer not null,
    removed_at integer,                       -- since when no code declares it any more
    paused_at integer,
    paused_by text,
    pause_reason text,
    next_at integer,                          -- its next tick; null: there is none, or it waits for a job to end
    due_at integer,                           -- when the leader has to look at it; null: never
    last_at integer,                          -- its latest tick
    last_job text,                           -- the job of the latest tick that has one
    succeeded_at integer,                     -- dead man's switch: when one of its jobs last completed
    succeeded_tick integer,                  -- and the latest tick of those that did
    overdue_at integer                        -- dead man's switch: since when one should have; null: all is well
);
create index lineshaft_schedule_due on lineshaft_schedule (due_at) where due_at is not null;
create index lineshaft_schedule_overdue on lineshaft_schedule (overdue_at) where overdue_at is not null;
-- What every worker reads when it starts.
create index lineshaft_schedule_declared on lineshaft_schedule (declared_by) where declared_by is not null;
-- What every worker reads again and again: which tasks are watched.
create index lineshaft_schedule_watches on lineshaft_schedule (watches) where watches is not null;

-- What became of each tick. That there is one row for each is what makes its job the only one.
create table lineshaft_tick (
    schedule text not null,
    run text not null,           -- '': by the clock; 'manual'; else the backfill's id
    at integer not null,
    state integer not null,                 -- features.schedules.records.TickState; below 2: not settled
    job text,
    decided_at integer not null,
    note text,
    primary key (schedule, at, run)
) without rowid;
create index lineshaft_tick_open on lineshaft_tick (schedule, at, run) where state < 2;

create table lineshaft_backfill (
    id text primary key,
    schedule text not null,
    since integer not null,
    until integer not null,
    at_most integer not null,                -- how many of its jobs are unfinished at once
    only_missing integer not null,
    next_at integer,                          -- the first tick that it has not enqueued; null: none is left
    enqueued integer not null,               -- how many it has
    created_at integer not null,
    ended_at integer                          -- when the last of its jobs ended, or it was cancelled
);
create index lineshaft_backfill_open on lineshaft_backfill (schedule) where ended_at is null;
create index lineshaft_backfill_schedule on lineshaft_backfill (schedule, id);
