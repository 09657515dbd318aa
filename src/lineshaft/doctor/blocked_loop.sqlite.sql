-- name: blocked_workers
select id, blocked from lineshaft_worker where blocked is not null;
