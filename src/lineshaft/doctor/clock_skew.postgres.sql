-- name: time_of_store
select (extract(epoch from clock_timestamp()) * 1000000)::bigint;

-- name: newest_job
select id::text, created_at from lineshaft.job order by job.id desc limit 1;
