-- name: lost_ahead
select name, count(*)
  from (select name, losses from lineshaft_job where stage = 1 and queue = :queue
         order by rank limit :most) as ahead
 where losses > 0 group by name;

-- name: lost_soon
select name, count(*)
  from (select name, losses from lineshaft_job where stage in (0, 2) order by run_at limit :most) as soon
 where losses > 0 group by name;

-- name: lost_lately
select name, count(*)
  from (select name, reason, finished_at from lineshaft_job where stage > 10
         order by id desc limit :most) as newest
 where reason = 'lost' and finished_at >= :since group by name;
