-- name: stand
-- Counts no further than :limit of each queue, however long the line is.
with recursive place (gate, queue) as (
    select j.gate, (select queue from lineshaft_job indexed by lineshaft_job_line
                     where gate = j.gate and stage = 5 and finished_at is null order by queue limit 1)
      from lineshaft_job as j where j.id = :id
    union all
    select p.gate, (select queue from lineshaft_job indexed by lineshaft_job_line
                     where gate = p.gate and stage = 5 and finished_at is null and queue > p.queue
                     order by queue limit 1)
      from place as p where p.queue is not null
)
select j.gate, j.options,
       (select coalesce(sum((select count(*) from (
            select l.rank, coalesce(l.turn, l.run_at) as place, l.id from lineshaft_job as l indexed by lineshaft_job_line
             where l.gate = p.gate and l.stage = 5 and l.finished_at is null and l.queue = p.queue
             order by l.rank, coalesce(l.turn, l.run_at), l.id limit :limit) as before
         where (before.rank, before.place, before.id) < (j.rank, coalesce(j.turn, j.run_at), j.id))), 0)
          from place as p where p.queue is not null)
  from lineshaft_job as j where j.id = :id;

-- name: holders
-- In no order: few are held, and to sort them is for whoever asks.
select id, name, worker, started_at from (
    select id, name, worker, started_at from lineshaft_job indexed by lineshaft_job_line
     where gate = :gate and stage = 1 and finished_at is null and worker is not null
    union all
    select j.id, j.name, j.worker, j.started_at
      from lineshaft_slot as s indexed by lineshaft_slot_gate
           cross join lineshaft_job as j indexed by lineshaft_job_id on j.id = s.job
     where s.gate = :gate and j.claim = s.claim and j.stage = 1 and j.worker is not null)
 limit :limit;

-- name: line_length
select count(*) from (
    select 1 from lineshaft_job indexed by lineshaft_job_line
     where gate = :gate and stage = 5 and finished_at is null limit :limit);
