-- name: held_ahead
select count(*)
  from (select worker from lineshaft_job where stage = 1 and queue = :queue
         order by rank limit :most) as ahead
 where worker = :worker;
