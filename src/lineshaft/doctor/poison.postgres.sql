-- name: lost_ahead
select name, count(*)
  from (select name, losses from lineshaft.job where stage = 1 and queue = %(queue)s
         order by rank limit %(most)s) as ahead
 where losses > 0 group by name;

-- name: lost_soon
select name, count(*)
  from (select name, losses from lineshaft.job where stage in (0, 2) order by run_at limit %(most)s) as soon
 where losses > 0 group by name;

-- name: lost_lately
select name, count(*)
  from (select name, reason, finished_at from lineshaft.history where stage > 10
         order by id desc limit %(most)s) as newest
 where reason = 'lost' and finished_at >= %(since)s group by name;
