-- name: get_closure
select note, record from lineshaft_closure;

-- name: put_closure
insert into lineshaft_closure (one, note, record) values (1, :note, :record)
on conflict (one) do update set note = excluded.note, record = excluded.record;

-- name: delete_closure
delete from lineshaft_closure;

-- name: bar_tables
-- Answers with the statements that are to be run: a trigger takes no parameters, so the note stands in its text.
-- Every table is barred, those of later migrations too, but what tells of the store itself. Workers may sign off.
select 'create trigger ' || t.name || '_closed_' || a.act || ' before ' || a.act || ' on ' || t.name
       || ' begin select raise(abort, ' || quote('closed: ' || :note) || '); end;'
  from sqlite_master t, (select 'insert' as act union all select 'update' union all select 'delete') a
 where t.type = 'table' and t.name glob 'lineshaft_*'
   and t.name not in ('lineshaft_migration', 'lineshaft_epoch', 'lineshaft_closure', 'lineshaft_leader')
   and (t.name <> 'lineshaft_worker' or a.act = 'insert');

-- name: unbar_tables
select 'drop trigger ' || name || ';' from sqlite_master where type = 'trigger' and name glob 'lineshaft_*_closed_*';

-- name: put_back_held
-- As a worker gives back what it did not begin: no attempt is used up, whether it ended is not known.
update lineshaft_job set worker = null, attempt = attempt - 1 where stage = 1 and worker is not null returning id;

-- name: remove_workers
delete from lineshaft_worker;
