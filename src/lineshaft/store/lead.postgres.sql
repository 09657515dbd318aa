-- name: see_lead
select coalesce((select term from lineshaft.leader), 0),
       (select holder.id from lineshaft.leader join lineshaft.worker as holder on holder.id = leader.worker
         where not holder.is_draining and (holder.heartbeat_at > %(oldest)s or holder.id = %(worker)s));

-- name: take_lead
-- A lead that was free is so as long as its term lasts; a holder that was only silent hears that it is replaced.
-- The lock makes a drain of this worker wait, which then frees the lead that it sees.
with candidate as materialized (
    select id from lineshaft.worker where id = %(worker)s and not is_draining for share
), taken as (
    insert into lineshaft.leader as l (one, worker, term, elected_at) select 1, id, 1, %(now)s from candidate
        on conflict (one) do update set worker = excluded.worker, term = l.term + 1, elected_at = excluded.elected_at
         where l.term = %(seen)s
    returning term
)
select term, pg_notify('lineshaft_worker', '') from taken;

-- name: resign_lead
-- The row stays, so that terms grow; no worker has the number 0.
with resigned as (
    update lineshaft.leader set worker = 0 where worker = %(worker)s returning 1
)
select count(*), (select count(pg_notify('lineshaft_worker', '')) from resigned) from resigned;
