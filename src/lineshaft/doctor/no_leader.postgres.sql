-- name: unattended
select count(*), min(due_at)
  from (select due_at from lineshaft.schedule where due_at <= %(until)s order by due_at limit %(most)s) as late;
