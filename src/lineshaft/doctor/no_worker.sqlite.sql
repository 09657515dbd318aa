-- name: paused_queues
select name from lineshaft_queue where paused_at is not null;

-- name: overdue
select queue, count(*), min(run_at)
  from (select queue, run_at from lineshaft_job where stage in (0, 2) and run_at <= :until
         order by run_at limit :most) as due
 group by queue;
