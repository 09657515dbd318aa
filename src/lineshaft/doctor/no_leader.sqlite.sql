-- name: unattended
select count(*), min(due_at)
  from (select due_at from lineshaft_schedule where due_at <= :until order by due_at limit :most);
