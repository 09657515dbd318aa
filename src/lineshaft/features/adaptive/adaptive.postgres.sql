-- name: part_of_learnt
select key, state from lineshaft.gate where key > %(after)s and wake_at is null order by key limit %(limit)s;

-- name: forget_learnt
-- Somebody may have used them meanwhile: what they remember is another text then. Passes over those that somebody
-- decides for.
update lineshaft.gate set state = null where key = any(array(
    select g.key
      from json_to_recordset(%(rows)s::json) as r (key text collate "C", state text)
           cross join lateral (
               select key from lineshaft.gate where key = r.key and state = r.state and wake_at is null
                  for no key update skip locked) as g));
