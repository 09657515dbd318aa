-- name: get_closure
select note, record from lineshaft.closure;

-- name: put_closure
insert into lineshaft.closure (one, note, record) values (1, %(note)s, %(record)s)
on conflict (one) do update set note = excluded.note, record = excluded.record;

-- name: delete_closure
delete from lineshaft.closure;

-- name: bar_tables
-- Does it, and answers with nothing that would be left to run. Every table is barred but what tells of the store itself.
select lineshaft.bar_tables(%(note)s,
    array['job', 'history', 'job_log', 'queue', 'unique_key', 'worker', 'schedule', 'tick', 'backfill', 'limit_rule',
          'gate', 'slot', 'queue_grant', 'fair', 'limit_course']);

-- name: unbar_tables
select lineshaft.unbar_tables();

-- name: put_back_held
-- As a worker gives back what it did not begin: no attempt is used up, whether it ended is not known.
update lineshaft.job set worker = null, attempt = attempt - 1 where worker is not null returning id::text;

-- name: remove_workers
delete from lineshaft.worker;
