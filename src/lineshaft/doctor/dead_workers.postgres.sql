-- name: held_ahead
select count(*)
  from (select worker from lineshaft.job where stage = 1 and queue = %(queue)s
         order by rank limit %(most)s) as ahead
 where worker = %(worker)s;
