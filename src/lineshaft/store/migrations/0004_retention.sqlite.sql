-- When to look again for expired jobs among the thousand whose `seq / 1000` is this block. An index on `expires_at`
-- would be written to by every finish; nobody but the pruner writes here (docs/decisions/0018).
create table lineshaft_block (
    block integer primary key,
    look_at integer not null
);
create index lineshaft_block_look on lineshaft_block (look_at);
