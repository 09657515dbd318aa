-- name: paused_until
select name, paused_at, paused_by, pause_reason from lineshaft_queue where paused_at <= :until;
