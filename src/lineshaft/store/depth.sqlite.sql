-- name: lock_limited_queues
-- The write transaction is the lock.
select name, max_depth, max_depth_per_tenant, on_full, block_timeout from lineshaft_queue
 where (max_depth is not null or max_depth_per_tenant is not null) and name in (select value from json_each(:queues))
 order by name;

-- name: count_waiting
-- In three parts, each with an index: the queue's ready jobs, those in lines, and what is not ready yet, of all queues.
select count(*) from (
    select 1 from lineshaft_job indexed by lineshaft_job_ready where stage = 1 and queue = :queue and worker is null
    union all
    select 1 from lineshaft_job indexed by lineshaft_job_parked where stage = 5 and queue = :queue
    union all
    select 1 from lineshaft_job indexed by lineshaft_job_due where stage in (0, 2) and queue = :queue
     limit :limit);

-- name: count_waiting_of_tenant
-- The same of one tenant. No index has tenants: jobs of queues that limit nothing would pay for it.
select count(*) from (
    select 1 from lineshaft_job indexed by lineshaft_job_ready
     where stage = 1 and queue = :queue and worker is null and tenant = :tenant
    union all
    select 1 from lineshaft_job indexed by lineshaft_job_parked
     where stage = 5 and queue = :queue and tenant = :tenant
    union all
    select 1 from lineshaft_job indexed by lineshaft_job_due
     where stage in (0, 2) and queue = :queue and tenant = :tenant
     limit :limit);

-- name: lock_oldest
-- The write transaction is the lock.
select id from (
    select id, rank, run_at from lineshaft_job indexed by lineshaft_job_ready
     where stage = 1 and queue = :queue and worker is null and (:tenant is null or tenant = :tenant)
    union all
    select id, rank, run_at from lineshaft_job indexed by lineshaft_job_parked
     where stage = 5 and queue = :queue and (:tenant is null or tenant = :tenant))
 order by rank desc, run_at, id limit :limit;
