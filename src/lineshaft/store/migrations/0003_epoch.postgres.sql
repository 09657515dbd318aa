-- A restore begins an epoch. What workers of an earlier one still hold or claim is refused: their numbers are smaller.
create table lineshaft.epoch (
    first_worker bigint primary key,         -- the smallest number that a worker of this epoch can have
    began_at bigint not null                 -- when the store was restored; no row: it never was
);

-- One row at most: why the store is closed, and how far the copy of it or into it is (`lineshaft copy`). What bars a
-- closed store are triggers, which an open one does not have (docs/decisions/0023).
create table lineshaft.closure (
    one integer primary key check (one = 1),
    note text,                               -- what is refused is told this; null: the store is open again
    record text not null                     -- JSON object: what the copy knows
);

create function lineshaft.refuse_closed() returns trigger language plpgsql as $$
begin
    raise exception using errcode = 'triggered_action_exception', message = tg_argv[0];
end $$;

-- The tables are named, for others may lie in the schema. Workers may go on to sign off.
create function lineshaft.bar_tables(note text, tables text[]) returns setof text language plpgsql as $$
declare
    schema_name constant text := (select n.nspname from pg_class c join pg_namespace n on n.oid = c.relnamespace
                                   where c.oid = 'lineshaft.job'::regclass);
    barred text;
begin
    foreach barred in array tables loop
        execute format('create trigger closed before %s on %I.%I for each row execute function %I.refuse_closed(%L)',
                       case barred when 'worker' then 'insert' else 'insert or update or delete' end,
                       schema_name, barred, schema_name, note);
    end loop;
end $$;

create function lineshaft.unbar_tables() returns setof text language plpgsql as $$
declare
    barred record;
begin
    for barred in
        select n.nspname, c.relname
          from pg_trigger t join pg_class c on c.oid = t.tgrelid join pg_namespace n on n.oid = c.relnamespace
         where t.tgfoid = 'lineshaft.refuse_closed'::regproc and t.tgparentid = 0
    loop
        execute format('drop trigger closed on %I.%I', barred.nspname, barred.relname);
    end loop;
end $$;
