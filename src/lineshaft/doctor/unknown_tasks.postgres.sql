-- name: put_back_unknown
select queue, name, count(*), min(unknown_since)
  from (select queue, name, unknown_since from lineshaft.job where stage in (0, 2) and run_at <= %(until)s
         order by run_at limit %(most)s) as soon
 where unknown_since is not null
 group by queue, name;

-- name: unknown_ahead
-- Those of the moment in which a worker takes them to put them back.
select queue, name, count(*), min(unknown_since)
  from (select queue, name, unknown_since from lineshaft.job where stage = 1 and queue = %(queue)s
         order by rank limit %(most)s) as ahead
 where unknown_since is not null
 group by queue, name;
