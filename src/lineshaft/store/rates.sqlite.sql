-- name: list_heads
-- A loose index scan: one step down the index for each queue and rank, however many jobs are under it.
with recursive name (queue) as (
    select min(queue) from lineshaft_job indexed by lineshaft_job_ready where stage = 1
    union all
    select (select min(job.queue) from lineshaft_job as job indexed by lineshaft_job_ready
             where job.stage = 1 and job.queue > name.queue)
      from name where name.queue is not null
), head (queue, rank) as (
    select queue, (select min(job.rank) from lineshaft_job as job indexed by lineshaft_job_ready
                    where job.stage = 1 and job.queue = name.queue)
      from name where queue is not null
    union all
    select queue, (select min(job.rank) from lineshaft_job as job indexed by lineshaft_job_ready
                    where job.stage = 1 and job.queue = head.queue and job.rank > head.rank)
      from head where rank is not null
)
select queue, rank from head where rank is not null limit :limit;

-- name: count_ready
-- Who holds a job stands in no index: running ones are counted too, and the first that nobody holds is looked for.
select head.value ->> 'queue',
       (select count(*) from (select 1 from lineshaft_job indexed by lineshaft_job_ready
                               where stage = 1 and queue = head.value ->> 'queue' and rank = head.value ->> 'rank'
                               limit :limit)),
       (select run_at from lineshaft_job indexed by lineshaft_job_ready
         where stage = 1 and queue = head.value ->> 'queue' and rank = head.value ->> 'rank' and worker is null
         order by coalesce(turn, run_at) limit 1)
  from json_each(:rows) as head;

-- name: count_due
select queue, stage, count(*)
  from (select queue, stage from lineshaft_job indexed by lineshaft_job_due
         where stage in (0, 2) order by run_at limit :limit)
 group by queue, stage
union all
select queue, 5, count(*)
  from (select queue from lineshaft_job indexed by lineshaft_job_parked where stage = 5 limit :limit)
 group by queue;

-- name: enqueued_total
select seq from sqlite_sequence where name = 'lineshaft_job' union all select 0 limit 1;
