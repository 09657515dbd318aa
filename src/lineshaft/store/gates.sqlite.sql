-- name: lock_gates
-- The write transaction is the lock; tells how many of the gates there are.
select count(*) from lineshaft_gate where key in (select value from json_each(:keys));

-- name: add_gates
insert into lineshaft_gate (key, rule) select value ->> 'key', value ->> 'rule' from json_each(:rows) where true
    on conflict (key) do nothing;
select changes();

-- name: read_gates json
-- Members by the index of lines, whatever the statistics say: "finished_at is null" names it. Where no queue is closed,
-- that alone counts them.
select json_group_array(json_array(
           g.key, g.rule, r.kind, r.declared, r.overrides, g.tat, g.state, g.wake_at,
           case :closed when '[]'
            then (select count(*) from lineshaft_job indexed by lineshaft_job_line
                   where gate = g.key and stage = 1 and finished_at is null)
            else (select count(*) from lineshaft_job indexed by lineshaft_job_line
                   where gate = g.key and stage = 1 and finished_at is null
                     and (worker is not null or queue not in (select value from json_each(:closed)))) end,
           (select count(worker) from lineshaft_job indexed by lineshaft_job_line
             where gate = g.key and stage = 1 and finished_at is null),
           (select count(*) from lineshaft_slot as s indexed by lineshaft_slot_gate
             where s.gate = g.key
               and (select j.claim = s.claim and j.stage = 1 and j.worker is not null
                      from lineshaft_job as j indexed by lineshaft_job_id where j.id = s.job)),
           case when coalesce(r.kind, 'order') = 'order'
                then (select id from lineshaft_job indexed by lineshaft_job_sequence
                       where sequence = g.key and finished_at is null order by id limit 1) end))
  from json_each(:keys) as k cross join lineshaft_gate as g on g.key = k.value
       left join lineshaft_limit_rule as r on r.name = g.rule;

-- name: move_gates
-- Whether a line is left is decided here, under the lock: who parks the next one holds it too. An insert, for an update
-- may read all gates to find these.
insert into lineshaft_gate (key, rule, tat, state, wake_at)
select g.key, g.rule, r.value ->> 'tat', r.value ->> 'state',
       case when (select 1 from lineshaft_job indexed by lineshaft_job_line
                   where gate = g.key and stage = 5 and finished_at is null limit 1)
            then r.value ->> 'wake_at' end
  from json_each(:rows) as r cross join lineshaft_gate as g on g.key = r.value ->> 'key'
 where true
    on conflict (key) do update set tat = excluded.tat, state = excluded.state, wake_at = excluded.wake_at;

-- name: due_gates json
-- The write transaction is the lock.
select json_group_array(json_array(key, rule)) from (
    select key, rule from lineshaft_gate indexed by lineshaft_gate_wake
     where wake_at <= :now and wake_at is not null order by wake_at limit :limit);

-- name: next_wake
select min(wake_at) from lineshaft_gate indexed by lineshaft_gate_wake where wake_at is not null;

-- name: hasten_gates
update lineshaft_gate indexed by lineshaft_gate_wake set wake_at = :now where wake_at > :latest and wake_at is not null;

-- name: take_slots
insert into lineshaft_slot (job, gate, claim) select value ->> 'job', value ->> 'gate', value ->> 'claim'
  from json_each(:rows) where true
    on conflict (job, gate) do update set claim = excluded.claim;

-- name: remove_slots
-- Of these claims only: somebody else may run the job by now, and have its places.
delete from lineshaft_slot
 where (job, gate) in (select slot.job, slot.gate from json_each(:rows) as gone cross join lineshaft_slot as slot
                        where slot.job = gone.value ->> 'id' and slot.claim = gone.value ->> 'claim');

-- name: gates_of
select key, rule from lineshaft_gate
 where key in (select gate from lineshaft_job indexed by lineshaft_job_id
                where id in (select value from json_each(:ids)) and gate is not null
               union
               select gate from lineshaft_slot where job in (select value from json_each(:ids)));

-- name: last_gate_of_chunk
select max(key) from (select key from lineshaft_gate where key > :after order by key limit :limit);

-- name: delete_idle_gates
delete from lineshaft_gate
 where key > :after and key <= :last and wake_at is null and (state is null or tat > 0) and tat <= :before
   and not exists (select 1 from lineshaft_job indexed by lineshaft_job_line
                    where gate = lineshaft_gate.key and stage = 1 and finished_at is null)
   and not exists (select 1 from lineshaft_slot indexed by lineshaft_slot_gate where gate = lineshaft_gate.key);
select changes();

-- name: delete_void_slots
delete from lineshaft_slot
 where (job, gate) in (
    select job, gate from lineshaft_slot as s
     where not exists (select 1 from lineshaft_job as j indexed by lineshaft_job_id
                        where j.id = s.job and j.claim = s.claim and j.stage = 1 and j.worker is not null)
     limit :limit);
select changes();
