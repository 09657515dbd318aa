-- name: ring
select pg_notify('lineshaft_waiter', '');
