-- Gates, lines and fair turns. Not additive: code that does not know them would neither hold jobs back nor claim in order.
alter table lineshaft_job add column gate text;        -- the limit that it belongs to, or that parked it; null: none known
alter table lineshaft_job add column turn integer;     -- its place where its queue is fair; null: run_at is
alter table lineshaft_job add column sequence text;    -- strict order: only the first unfinished of a sequence may start
alter table lineshaft_job add column fair text;        -- whose turn it takes
drop index lineshaft_job_ready;
create index lineshaft_job_ready on lineshaft_job (queue, rank, coalesce(turn, run_at), id) where stage = 1;
-- What is in a gate (stage 1) and in its line (stage 5), there by queue: the first jobs of a line may be of queues that
-- nobody can claim from. "finished_at is null", for with "stage < 10" SQLite would take that for the range and sort the
-- whole line.
create index lineshaft_job_line on lineshaft_job (gate, stage, queue, rank, coalesce(turn, run_at), id)
    where gate is not null and finished_at is null;
-- Without the gate: with it each job of another line is on another page, all of which go through the log.
create index lineshaft_job_parked on lineshaft_job (queue) where stage = 5;
create index lineshaft_job_sequence on lineshaft_job (sequence, id) where sequence is not null and finished_at is null;

alter table lineshaft_queue add column flow text;                        -- JSON object: limits, fairness; null: nothing
alter table lineshaft_queue add column is_gated integer not null default 0;  -- workers claim by grants only
alter table lineshaft_queue add column is_fair integer not null default 0;   -- new jobs draw turns

-- One row a declared limit.
create table lineshaft_limit_rule (
    name text primary key,
    kind text not null,                      -- gates.Kind
    declared text not null,                  -- JSON object: what the code said that last started a worker
    overrides text,                          -- JSON object: what a person changed
    updated_at integer not null
) without rowid;

-- One row a key that was ever judged; deleted when nothing is known of it any more. Who decides for a gate locks it.
create table lineshaft_gate (
    key text primary key,
    rule text not null,
    tat integer not null default 0,          -- rates: the theoretical arrival time of the next token
    state text,                              -- JSON: what a breaker or a limit that learns remembers
    wake_at integer                          -- when somebody looks at it next; not null: it has a line
) without rowid;
create index lineshaft_gate_wake on lineshaft_gate (wake_at) where wake_at is not null;

-- A place that a held job takes in a gate that is not its own; void once the job is not held with that claim.
create table lineshaft_slot (
    job text not null,
    gate text not null,
    claim integer not null,
    primary key (job, gate)
) without rowid;
create index lineshaft_slot_gate on lineshaft_slot (gate);

-- How many jobs of a gated queue a worker may hold.
create table lineshaft_queue_grant (
    queue text not null,
    worker integer not null,
    places integer not null,
    primary key (queue, worker)
) without rowid;

-- Where whose next turn comes in a fair queue. The row with the key '' keeps how far the queue has come, roughly.
create table lineshaft_fair (
    queue text not null,
    rank integer not null,
    key text not null,
    next integer not null,                   -- the place behind those that it drew
    head integer not null,                   -- how far the queue had come when it last drew
    tail integer not null,                   -- and where the queue's last ready job stood
    step integer not null,                   -- how far apart its own jobs stand: the less, the greater its weight
    span integer not null,                   -- how much it drew at once
    drawn_at integer not null,
    lately integer not null,                 -- how much it drew in the last seconds, fading
    primary key (queue, rank, key)
) without rowid;

-- How a limit that learns has moved.
create table lineshaft_limit_course (
    gate text not null,
    at integer not null,
    value real not null,
    why text not null,
    primary key (gate, at)
) without rowid;
