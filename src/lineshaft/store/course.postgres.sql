-- name: note_changes
insert into lineshaft.limit_course (gate, at, value, why)
select gate, at, value, why
  from json_to_recordset(%(rows)s::json) as r (gate text collate "C", at bigint, value double precision, why text)
 order by gate, at
    on conflict (gate, at) do update set value = excluded.value, why = excluded.why;

-- name: course_of
select at, value, why from lineshaft.limit_course
 where gate = %(gate)s and at >= %(since)s order by at desc limit %(limit)s;

-- name: part_of_course
select gate, at from lineshaft.limit_course where (gate, at) > (%(gate)s, %(at)s) order by gate, at limit %(limit)s;

-- name: delete_changes
delete from lineshaft.limit_course where ctid = any(array(
    select c.ctid
      from json_to_recordset(%(rows)s::json) as r (gate text collate "C", at bigint)
           cross join lateral (
               select ctid from lineshaft.limit_course where gate = r.gate and at = r.at for update skip locked) as c));
