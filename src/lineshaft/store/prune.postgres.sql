-- name: drop_expired_day
select lineshaft.drop_expired_day(%(now)s);

-- name: due_block
-- The only block is the default partition, with rows that no partition of a day takes.
select 0 from lineshaft.history_rest where expires_at <= %(now)s and %(before)s::bigint is not null limit 1;

-- name: look_into_block
select array(select id::text from lineshaft.history_rest
              where expires_at <= %(now)s order by expires_at limit 1000),
       null, %(later)s::bigint > %(block)s::bigint;

-- name: delete_expired
-- Judges again: a job may have been revived since it was looked at.
with gone as (
    delete from lineshaft.history_rest where id = any(%(keys)s::uuid[]) and expires_at <= %(now)s returning 1
)
select count(*) from gone;

-- name: note_block
-- The index of the default partition says what is due.
select where %(block)s::bigint > %(look_at)s::bigint and false;

-- name: forget_block
select where %(block)s::bigint < 0;

-- name: last_log_of_chunk
select max(written_at) from (
    select written_at from lineshaft.job_log where written_at > %(after)s and written_at <= %(before)s
     order by written_at limit %(limit)s) as chunk;

-- name: delete_gone_logs
with gone as (
    delete from lineshaft.job_log l where written_at > %(after)s and written_at <= %(last)s
       and not exists (select from lineshaft.job j where j.id = l.job)
       and not exists (select from lineshaft.history h where h.id = l.job)
    returning 1
)
select count(*) from gone;
