-- name: ring rings-waiter
select 1;
