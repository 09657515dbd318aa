-- Who holds which key. Only enqueue writes it: whether the holder still counts is read off the job itself.
create table lineshaft.unique_key (
    key text collate "C" primary key,        -- SHA-256 in hex of tenant, task and the arguments that count
    job uuid not null,                       -- may be finished or gone: the key is free then
    until bigint                             -- when a finished job stops to hold the key at last; null: once finished
) with (fillfactor = 80);                    -- room for the next holder on the same page
