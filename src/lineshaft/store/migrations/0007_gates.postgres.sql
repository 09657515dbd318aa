-- Gates, lines and fair turns. Not additive: code that does not know them would neither hold jobs back nor claim in order.
alter table lineshaft.job
    add column gate text collate "C",        -- the limit that it belongs to, or that parked it; null: none known
    add column turn bigint,                  -- its place where its queue is fair; null: run_at is
    add column sequence text collate "C",    -- strict order: only the first unfinished of a sequence may start
    add column fair text collate "C";        -- whose turn it takes
drop index lineshaft.job_ready;
create index job_ready on lineshaft.job (queue, rank, coalesce(turn, run_at), id) where stage = 1;
-- What is in a gate (stage 1) and in its line (stage 5).
create index job_line on lineshaft.job (gate, stage, rank, coalesce(turn, run_at), id) where gate is not null;
-- By queue, and of each line by itself: the first jobs of a line may be of queues that nobody can claim from.
create index job_parked on lineshaft.job (queue, gate, rank, coalesce(turn, run_at), id) where stage = 5;
create index job_sequence on lineshaft.job (sequence, id) where sequence is not null;

alter table lineshaft.queue
    add column flow text,                                -- JSON object: limits, fairness; null: nothing
    add column is_gated boolean not null default false,  -- workers claim by grants only
    add column is_fair boolean not null default false;   -- new jobs draw turns

-- One row a declared limit.
create table lineshaft.limit_rule (
    name text collate "C" primary key,
    kind text not null,                      -- gates.Kind
    declared text not null,                  -- JSON object: what the code said that last started a worker
    overrides text,                          -- JSON object: what a person changed
    updated_at bigint not null
);

-- One row a key that was ever judged; deleted when nothing is known of it any more. Who decides for a gate locks it.
create table lineshaft.gate (
    key text collate "C" primary key,
    rule text collate "C" not null,
    tat bigint not null default 0,           -- rates: the theoretical arrival time of the next token
    state text,                              -- JSON: what a breaker or a limit that learns remembers
    wake_at bigint                           -- when somebody looks at it next; not null: it has a line
) with (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000);
create index gate_wake on lineshaft.gate (wake_at) where wake_at is not null;

-- A place that a held job takes in a gate that is not its own; void once the job is not held with that claim.
create table lineshaft.slot (
    job uuid not null,
    gate text collate "C" not null,
    claim integer not null,
    primary key (job, gate)
) with (fillfactor = 70, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000);
create index slot_gate on lineshaft.slot (gate);

-- How many jobs of a gated queue a worker may hold.
create table lineshaft.queue_grant (
    queue text collate "C" not null,
    worker bigint not null,
    places integer not null,
    primary key (queue, worker)
) with (fillfactor = 50);

-- Where whose next turn comes in a fair queue. The row with the key '' keeps how far the queue has come, roughly.
create table lineshaft.fair (
    queue text collate "C" not null,
    rank smallint not null,
    key text collate "C" not null,
    next bigint not null,                    -- the place behind those that it drew
    head bigint not null,                    -- how far the queue had come when it last drew
    tail bigint not null,                    -- and where the queue's last ready job stood
    step bigint not null,                    -- how far apart its own jobs stand: the less, the greater its weight
    span bigint not null,                    -- how much it drew at once
    drawn_at bigint not null,
    lately bigint not null,                  -- how much it drew in the last seconds, fading
    primary key (queue, rank, key)
) with (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000);

-- How a limit that learns has moved.
create table lineshaft.limit_course (
    gate text collate "C" not null,
    at bigint not null,
    value double precision not null,
    why text not null,
    primary key (gate, at)
);
