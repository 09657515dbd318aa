-- Rows that are kept for longer than there are partitions ahead.
create index history_rest_expiry on lineshaft.history_rest (expires_at);

-- Drops one partition all of whose rows have expired, and says 'dropped', 'none', or 'blocked'. A drop locks the whole
-- history for a moment, and while it waits for that lock every finish waits behind it: so it does not begin to wait
-- for a transaction that is known to be old, and gives up soon on any other.
create function lineshaft.drop_expired_day(instant bigint) returns text language plpgsql
    set lock_timeout = '100ms' as $$
declare
    expired_day text;
begin
    select c.relname into expired_day
      from pg_inherits i join pg_class c on c.oid = i.inhrelid
     where i.inhparent = 'lineshaft.history'::regclass and c.relname ~ '^history_[0-9]{8}$'
       and c.relname < 'history_' || to_char(to_timestamp(instant / 1000000) at time zone 'UTC', 'YYYYMMDD')
     order by c.relname limit 1;
    if expired_day is null then
        return 'none';
    end if;
    if exists (select from pg_locks l join pg_stat_activity a on a.pid = l.pid
                where l.relation = 'lineshaft.history'::regclass and l.pid <> pg_backend_pid()
                  and a.xact_start < clock_timestamp() - interval '1 second') then
        return 'blocked';
    end if;
    execute format('drop table lineshaft.%I', expired_day);
    return 'dropped';
exception
    when lock_not_available or deadlock_detected then
        return 'blocked';
    when undefined_table then   -- somebody else was as quick
        return 'dropped';
end $$;
