-- name: open_transactions
-- Who keeps vacuum from removing what has died in this database. A transaction without a snapshot and without an id
-- (idle after a read in READ COMMITTED) keeps nothing. A slot has no age: one that
-- nobody reads from is held for as long as that lasts.
select 'session', pid::text, coalesce(application_name, ''), coalesce(usename, ''), coalesce(state, ''),
       extract(epoch from clock_timestamp() - xact_start)::float8, coalesce(left(query, 200), '')
  from pg_stat_activity
 where (backend_xmin is not null or backend_xid is not null) and pid <> pg_backend_pid()
   and datid = (select oid from pg_database where datname = current_database())
   and backend_type <> 'autovacuum worker'
   and clock_timestamp() - xact_start >= make_interval(secs => %(seconds)s)
union all
select 'prepared', gid, '', owner, 'prepared', extract(epoch from clock_timestamp() - prepared)::float8, ''
  from pg_prepared_xacts
 where database = current_database() and clock_timestamp() - prepared >= make_interval(secs => %(seconds)s)
union all
select 'slot', slot_name, coalesce(plugin, ''), '', 'inactive', null, ''
  from pg_replication_slots where xmin is not null and not active
 order by 6 desc nulls last;

-- name: may_see_others
select pg_has_role(current_user, 'pg_read_all_stats', 'usage'), current_user::text;

-- name: move_log
-- PostgreSQL writes its log into the tables by itself, whoever reads.
select 0, 0, 0;
