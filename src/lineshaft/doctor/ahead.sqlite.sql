-- name: queues_with_ready_jobs
-- One step down the index for each queue, however many jobs it holds.
with recursive known(queue) as (
    select * from (select queue from lineshaft_job where stage = 1 order by queue limit 1)
    union all
    select (select job.queue from lineshaft_job job where stage = 1 and job.queue > known.queue order by job.queue limit 1)
      from known where known.queue is not null
)
select queue from known where queue is not null;

-- name: ready_ahead
-- By rank only, as in all looks at what is ahead: the index gives them in its order, whichever schema the store has.
select count(*), min(run_at)
  from (select run_at from lineshaft_job where stage = 1 and queue = :queue and worker is null
         order by rank limit :most) as ahead;
