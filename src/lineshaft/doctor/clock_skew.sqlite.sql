-- name: time_of_store
-- The file has no clock but that of its host, in milliseconds.
select cast(round((julianday('now') - 2440587.5) * 86400000) as integer) * 1000;

-- name: newest_job
select id, created_at from lineshaft_job order by id desc limit 1;
