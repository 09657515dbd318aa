-- Who holds which key. Only enqueue writes it: whether the holder still counts is read off the job itself.
create table lineshaft_unique_key (
    key text primary key,                    -- SHA-256 in hex of tenant, task and the arguments that count
    job text not null,                       -- may be finished or gone: the key is free then
    until integer                            -- when a finished job stops to hold the key at last; null: once finished
) without rowid;
