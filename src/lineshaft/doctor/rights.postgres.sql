-- name: rights
-- By the catalogue, which is open to everybody: a name in a schema that is closed to the role is an error.
select current_user::text, coalesce(max(pg_get_userbyid(c.relowner)::text) filter (where c.relname = 'history'), ''),
       has_schema_privilege(n.oid, 'usage'), has_schema_privilege(n.oid, 'create'),
       count(*) filter (where not pg_has_role(c.relowner, 'usage')),
       coalesce(string_agg(c.relname, ', ' order by c.relname) filter (
           where c.relname !~ '^history_' and c.relname <> 'migration'
             and not (has_table_privilege(c.oid, 'select') and has_table_privilege(c.oid, 'insert')
                      and has_table_privilege(c.oid, 'update') and has_table_privilege(c.oid, 'delete'))), '')
  from pg_namespace n join pg_class c on c.relnamespace = n.oid and c.relkind in ('r', 'p')
 where n.nspname = %(schema)s
 group by n.oid;
