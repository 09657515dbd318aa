-- name: job_table
select s.relid::regclass::text, s.n_dead_tup, s.n_live_tup, pg_relation_size(s.relid),
       extract(epoch from clock_timestamp() - greatest(s.last_vacuum, s.last_autovacuum))::float8,
       current_setting('autovacuum')::boolean
       and coalesce((select o.option_value::boolean from pg_options_to_table(c.reloptions) o
                      where o.option_name = 'autovacuum_enabled'), true)
  from pg_stat_user_tables s join pg_class c on c.oid = s.relid
 where s.relid = 'lineshaft.job'::regclass;
