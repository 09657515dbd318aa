-- name: note_changes
insert into lineshaft_limit_course (gate, at, value, why)
select value ->> 'gate', value ->> 'at', value ->> 'value', value ->> 'why' from json_each(:rows) where true
    on conflict (gate, at) do update set value = excluded.value, why = excluded.why;

-- name: course_of json
select json_group_array(json_array(at, value, why)) from (
    select at, value, why from lineshaft_limit_course
     where gate = :gate and at >= :since order by at desc limit :limit);

-- name: part_of_course json
select json_group_array(json_array(gate, at)) from (
    select gate, at from lineshaft_limit_course where (gate, at) > (:gate, :at) order by gate, at limit :limit);

-- name: delete_changes
delete from lineshaft_limit_course
 where (gate, at) in (select value ->> 'gate', value ->> 'at' from json_each(:rows));
