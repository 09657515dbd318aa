-- name: lock_gates
-- In the order of the keys: nobody can wait in a circle. Tells how many of the gates there are.
select count(*) from (
    select 1 from lineshaft.gate where key = any(%(keys)s::text[]) order by key for no key update) as locked;

-- name: add_gates
-- Locks those that somebody else has made meanwhile: "where false" writes no new version.
with added as (
    insert into lineshaft.gate (key, rule)
    select key, rule from json_to_recordset(%(rows)s::json) as r (key text collate "C", rule text) order by key
        on conflict (key) do update set rule = excluded.rule where false
    returning 1
)
select count(*) from added;

-- name: read_gates
-- Its snapshot begins after the locks are had. Ordered and limited, and the stage is a value that the planner does not
-- know: no plan may walk the index of ready jobs, as one did with fresh statistics for a gate with many members. Of a
-- slot's job a value is asked, which cannot become a join.
select g.key, g.rule, r.kind, r.declared, r.overrides, g.tat, g.state, g.wake_at, m.members, m.held,
       (select count(*) from lineshaft.slot as s
         where s.gate = g.key
           and (select j.claim = s.claim and j.worker is not null from lineshaft.job as j where j.id = s.job)),
       case when coalesce(r.kind, 'order') = 'order'
            then (select j.id::text from lineshaft.job as j where j.sequence = g.key order by j.id limit 1) end
  from lineshaft.gate as g
       left join lineshaft.limit_rule as r on r.name = g.rule
       cross join lateral (
           select count(*) filter (where worker is not null or queue <> all(%(closed)s::text[])) as members,
                  count(worker) as held
             from (
               select worker, queue from lineshaft.job where gate = g.key and stage = (select 1::smallint)
                order by rank, coalesce(turn, run_at), id limit 10000) as member) as m
 where g.key = any(%(keys)s::text[]);

-- name: move_gates
-- Whether a line is left is decided here, under the lock: who parks the next one holds it too. How that is asked keeps
-- plans from walking the lines of other gates.
with moved as (
    update lineshaft.gate as g
       set tat = (%(tat)s::bigint[])[width_bucket(key, %(key)s::text[])],
           state = (%(state)s::text[])[width_bucket(key, %(key)s::text[])],
           wake_at = case when (select true from lineshaft.job as j where j.gate = g.key and j.stage = (select 5::smallint)
                                 order by j.rank, coalesce(j.turn, j.run_at), j.id limit 1)
                          then (%(wake_at)s::bigint[])[width_bucket(key, %(key)s::text[])] end
     where key = any(%(key)s::text[])
    returning 1
)
select count(*) from moved;

-- name: due_gates
select key, rule from lineshaft.gate
 where wake_at <= %(now)s and wake_at is not null order by wake_at limit %(limit)s for no key update skip locked;

-- name: next_wake
select min(wake_at) from lineshaft.gate where wake_at is not null;

-- name: hasten_gates
-- Passes over gates that somebody decides for: who does says when to look by today's clock.
update lineshaft.gate set wake_at = %(now)s
 where key = any(array(
    select key from lineshaft.gate where wake_at > %(latest)s and wake_at is not null for no key update skip locked));

-- name: take_slots
insert into lineshaft.slot (job, gate, claim)
select job, gate, claim
  from json_to_recordset(%(rows)s::json) as r (job uuid, gate text collate "C", claim integer) order by job, gate
    on conflict (job, gate) do update set claim = excluded.claim;

-- name: remove_slots
-- Of these claims only: somebody else may run the job by now, and have its places.
delete from lineshaft.slot as slot
 using json_to_recordset(%(rows)s::json) as gone (id uuid, claim integer)
 where slot.job = gone.id and slot.claim = gone.claim;

-- name: gates_of
select key, rule from lineshaft.gate
 where key = any(array(
    select gate from lineshaft.job where id = any(%(ids)s::uuid[]) and gate is not null
    union
    select gate from lineshaft.slot where job = any(%(ids)s::uuid[])));

-- name: last_gate_of_chunk
select max(key) from (
    select key from lineshaft.gate where key > %(after)s order by key limit %(limit)s) as chunk;

-- name: delete_idle_gates
-- Passes over gates that somebody decides for. Whoever waits for one that is deleted makes it anew. Of jobs and slots
-- values are asked, as in read_gates.
with gone as (
    delete from lineshaft.gate where key = any(array(
        select g.key from lineshaft.gate as g
         where g.key > %(after)s and g.key <= %(last)s and g.wake_at is null
           and (g.state is null or g.tat > 0) and g.tat <= %(before)s
           and (select true from lineshaft.job as j where j.gate = g.key and j.stage = (select 1::smallint)
                 order by j.rank, coalesce(j.turn, j.run_at), j.id limit 1) is null
           and (select true from lineshaft.slot as s where s.gate = g.key limit 1) is null
           for update of g skip locked))
    returning 1
)
select count(*) from gone;

-- name: delete_void_slots
with gone as (
    delete from lineshaft.slot where ctid = any(array(
        select s.ctid from lineshaft.slot as s
         where (select j.claim = s.claim and j.worker is not null from lineshaft.job as j where j.id = s.job) is not true
         limit %(limit)s for update of s skip locked))
    returning 1
)
select count(*) from gone;
