-- name: blocked_workers
select id, blocked from lineshaft.worker where blocked is not null;
