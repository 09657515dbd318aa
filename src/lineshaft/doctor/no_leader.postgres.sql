-- name: unattended
select count(*), min(due_at), count(*) filter (where source <> 'system'), min(due_at) filter (where source <> 'system')
  from (select due_at, source from lineshaft.schedule where due_at <= %(until)s order by due_at limit %(most)s) as late;
