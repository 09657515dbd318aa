-- additive: how full queues behave; code that does not know it refuses where it should wait or drop, and counts no tenants.
alter table lineshaft_queue add column max_depth_per_tenant integer;
alter table lineshaft_queue add column on_full text;             -- 'drop_oldest' or 'block'; null: reject
alter table lineshaft_queue add column block_timeout integer;    -- microseconds
