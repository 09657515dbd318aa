-- name: list_heads
-- A loose index scan: one step down the index for each queue and rank, however many jobs are under it.
with recursive head as (
    (select queue, rank from lineshaft.job where stage = 1 order by queue, rank limit 1)
    union all
    select following.queue, following.rank
      from head cross join lateral (
           select queue, rank from lineshaft.job
            where stage = 1 and (queue, rank) > (head.queue, head.rank)
            order by queue, rank limit 1) as following
)
select queue, rank from head limit %(limit)s;

-- name: count_ready
-- Who holds a job stands in no index: running ones are counted too, and the first that nobody holds is looked for.
select head.queue,
       (select count(*) from (select 1 from lineshaft.job
                               where stage = 1 and queue = head.queue and rank = head.rank
                               limit %(limit)s) as counted),
       (select run_at from lineshaft.job
         where stage = 1 and queue = head.queue and rank = head.rank and worker is null
         order by coalesce(turn, run_at) limit 1)
  from json_to_recordset(%(rows)s::json) as head (queue text, rank smallint);

-- name: count_due
select queue, stage, count(*)
  from (select queue, stage from lineshaft.job where stage in (0, 2) order by run_at limit %(limit)s) as due
 group by queue, stage
union all
select queue, 5, count(*)
  from (select queue from lineshaft.job where stage = 5 order by queue limit %(limit)s) as parked
 group by queue;

-- name: enqueued_total
select pg_stat_get_tuples_inserted('lineshaft.job'::regclass);
