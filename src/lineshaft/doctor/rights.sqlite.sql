-- name: rights
-- A file has no roles.
select 1 where :schema is null;
