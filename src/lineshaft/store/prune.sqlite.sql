-- name: drop_expired_day
-- One table: there are no partitions to drop.
select 'none' where :now is not null;

-- name: due_block
-- The one that is due for longest, else the first that nobody has looked at yet.
select block from (select block from lineshaft_block where look_at <= :now order by look_at limit 1)
union all
select block from (
    select seq / 1000 as block, created_at from lineshaft_job
     where seq >= (select coalesce(max(block) + 1, 0) * 1000 from lineshaft_block) order by seq limit 1)
 where created_at <= :before
 limit 1;

-- name: look_into_block json
select json_array(json_array(
           json(json_group_array(seq) filter (where stage >= 10 and expires_at <= :now)),
           min(case when stage >= 10 then expires_at else :later end)
               filter (where not (stage >= 10 and expires_at <= :now)),
           (select max(seq) from lineshaft_job) >= :block * 1000 + 999))
  from lineshaft_job not indexed where seq between :block * 1000 and :block * 1000 + 999;

-- name: delete_expired
-- Judges again: a job may have been revived since it was looked at.
delete from lineshaft_job
 where seq in (select value from json_each(:keys)) and stage >= 10 and expires_at <= :now;
select changes();

-- name: note_block
insert into lineshaft_block (block, look_at) values (:block, :look_at)
    on conflict (block) do update set look_at = excluded.look_at;

-- name: forget_block
delete from lineshaft_block where block = :block;

-- name: last_log_of_chunk
select max(written_at) from (
    select written_at from lineshaft_job_log where written_at > :after and written_at <= :before
     order by written_at limit :limit);

-- name: delete_gone_logs
delete from lineshaft_job_log where written_at > :after and written_at <= :last
   and not exists (select 1 from lineshaft_job where id = lineshaft_job_log.job);
select changes();
