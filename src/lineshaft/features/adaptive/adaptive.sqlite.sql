-- name: part_of_learnt json
select json_group_array(json_array(key, state)) from (
    select key, state from lineshaft_gate where key > :after and wake_at is null order by key limit :limit);

-- name: forget_learnt
-- Somebody may have used them meanwhile: what they remember is another text then.
update lineshaft_gate set state = null
  from json_each(:rows) as r
 where lineshaft_gate.key = r.value ->> 'key' and lineshaft_gate.state = r.value ->> 'state' and wake_at is null;
