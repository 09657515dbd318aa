-- name: complete_jobs rings-waiter
-- Not indexed: by the private key only. With statistics that somebody made while few jobs waited, SQLite would read
-- every ready job instead.
update lineshaft_job not indexed
   set stage = 10, finished_at = :now, result = r.value ->> 'result', expires_at = r.value ->> 'expires_at'
  from json_each(:rows) as r
 where seq = r.value ->> 'key' and claim = r.value ->> 'claim' and stage = 1 and worker = :worker;
select changes();

-- name: close_jobs rings-waiter
update lineshaft_job not indexed set stage = r.value ->> 'stage', reason = r.value ->> 'reason', finished_at = :now,
       expires_at = r.value ->> 'expires_at', losses = losses + (r.value ->> 'losses'),
       errors = case when r.value ->> 'error' is null then errors
                     else coalesce(errors || char(10), '') || (r.value ->> 'error') end
  from json_each(:rows) as r
 where seq = r.value ->> 'key' and claim = r.value ->> 'claim' and stage = 1 and worker = :worker;
select changes();

-- name: put_back_jobs rings-worker rings-follower
-- A job that was asked to stop comes back at once, so that its next claim can end it. What comes back later comes to
-- its gates as a new one: members that nobody holds are jobs that the gate has released.
update lineshaft_job not indexed
   set stage = case when cancel_requested then 1 else r.value ->> 'stage' end, worker = null,
       gate = case when cancel_requested or r.value ->> 'stage' = 1 then gate end,
       run_at = case when cancel_requested then :now else coalesce(r.value ->> 'run_at', run_at) end,
       attempt = attempt - (r.value ->> 'attempts_back'), losses = losses + (r.value ->> 'losses'),
       is_isolated = is_isolated or (r.value ->> 'is_isolated'), unknown_since = r.value ->> 'unknown_since',
       errors = case when r.value ->> 'error' is null then errors
                     else coalesce(errors || char(10), '') || (r.value ->> 'error') end
  from json_each(:rows) as r
 where seq = r.value ->> 'key' and claim = r.value ->> 'claim' and stage = 1 and worker = :worker;
select changes();

-- name: finished_by
select id, claim, stage from lineshaft_job where id in (select value from json_each(:ids)) and worker = :worker and stage >= 10;

-- name: put_back_among
select id, claim from lineshaft_job where id in (select value from json_each(:ids)) and worker is null and stage < 10;

-- name: save_progress rings-follower
update lineshaft_job not indexed set progress = r.value ->> 'progress' from json_each(:rows) as r
 where seq = r.value ->> 'key' and claim = r.value ->> 'claim' and stage = 1 and worker = :worker;

-- name: save_logs
insert into lineshaft_job_log (job, claim, attempt, lines, written_at)
select value ->> 'id', value ->> 'claim', value ->> 'attempt', value ->> 'lines', :now from json_each(:rows) where true
    on conflict (job, claim) do update set lines = excluded.lines, written_at = excluded.written_at;
