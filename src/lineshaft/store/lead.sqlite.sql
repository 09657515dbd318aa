-- name: see_lead
select coalesce((select term from lineshaft_leader), 0),
       (select holder.id from lineshaft_leader join lineshaft_worker as holder on holder.id = lineshaft_leader.worker
         where not holder.is_draining and (holder.heartbeat_at > :oldest or holder.id = :worker));

-- name: take_lead rings-worker
-- A lead that was free is so as long as its term lasts; a holder that was only silent hears that it is replaced.
insert into lineshaft_leader (one, worker, term, elected_at)
select 1, id, 1, :now from lineshaft_worker where id = :worker and not is_draining
    on conflict (one) do update set worker = excluded.worker, term = term + 1, elected_at = excluded.elected_at
     where term = :seen;
select case changes() when 0 then 0 else (select term from lineshaft_leader) end;

-- name: resign_lead rings-worker
-- The row stays, so that terms grow; no worker has the number 0.
update lineshaft_leader set worker = 0 where worker = :worker;
select changes();
