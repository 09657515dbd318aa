-- name: job_table
-- A row that is updated or deleted makes room at once.
select 1 where 0;
