-- name: lock_limited_queues
select name, max_depth, max_depth_per_tenant, on_full, block_timeout from lineshaft.queue
 where (max_depth is not null or max_depth_per_tenant is not null) and name = any(%(queues)s::text[])
 order by name for update;

-- name: count_waiting
-- In three parts, each with an index: the queue's ready jobs, those in lines, and what is not ready yet, of all queues.
select count(*) from (
    select 1 from lineshaft.job where stage = 1 and queue = %(queue)s and worker is null
    union all
    select 1 from lineshaft.job where stage = 5 and queue = %(queue)s
    union all
    select 1 from lineshaft.job where stage in (0, 2) and queue = %(queue)s
     limit %(limit)s) as waiting;

-- name: count_waiting_of_tenant
-- The same of one tenant. No index has tenants: jobs of queues that limit nothing would pay for it.
select count(*) from (
    select 1 from lineshaft.job where stage = 1 and queue = %(queue)s and worker is null and tenant = %(tenant)s
    union all
    select 1 from lineshaft.job where stage = 5 and queue = %(queue)s and tenant = %(tenant)s
    union all
    select 1 from lineshaft.job where stage in (0, 2) and queue = %(queue)s and tenant = %(tenant)s
     limit %(limit)s) as waiting;

-- name: lock_oldest
-- Passes over those that a worker is taking, so it waits for nobody.
with ready as (
    select id, rank, run_at from lineshaft.job
     where stage = 1 and queue = %(queue)s and worker is null
       and (%(tenant)s::text is null or tenant = %(tenant)s::text)
     order by rank desc, run_at, id limit %(limit)s for update skip locked
), parked as (
    select id, rank, run_at from lineshaft.job
     where stage = 5 and queue = %(queue)s and (%(tenant)s::text is null or tenant = %(tenant)s::text)
     order by rank desc, run_at, id limit %(limit)s for update skip locked
)
select id::text from (select * from ready union all select * from parked) as waiting
 order by rank desc, run_at, waiting.id limit %(limit)s;
