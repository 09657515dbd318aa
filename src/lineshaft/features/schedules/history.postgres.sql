-- name: job_stages
select id::text, stage, worker is not null, cancel_requested from lineshaft.job where id = any(%(ids)s::uuid[])
 union all
select id::text, stage, false, false from lineshaft.history where id = any(%(ids)s::uuid[]);
