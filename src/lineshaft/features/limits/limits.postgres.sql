-- name: stand
-- Counts no further than the limit, however long the line is. The stage is a value that the planner does not know: no
-- plan may walk another index.
select j.gate, j.options,
       (select count(*) from (
            select l.rank, coalesce(l.turn, l.run_at) as place, l.id from lineshaft.job as l
             where l.gate = j.gate and l.stage = (select 5::smallint)
             order by l.rank, coalesce(l.turn, l.run_at), l.id limit %(limit)s) as before
         where (before.rank, before.place, before.id) < (j.rank, coalesce(j.turn, j.run_at), j.id))
  from lineshaft.job as j where j.id = %(id)s::uuid;

-- name: holders
-- In no order: few are held, and to sort them is for whoever asks.
select id::text, name, worker, started_at from (
    select id, name, worker, started_at from (
        select id, name, worker, started_at from lineshaft.job
         where gate = %(gate)s::text and stage = (select 1::smallint)
         order by rank, coalesce(turn, run_at), id limit 10000) as member
     where worker is not null
    union all
    select j.id, j.name, j.worker, j.started_at
      from (select job, claim from lineshaft.slot where gate = %(gate)s::text limit 10000) as s
           cross join lateral (
               select id, name, worker, started_at from lineshaft.job
                where id = s.job and claim = s.claim and worker is not null offset 0) as j) as holder
 limit %(limit)s;

-- name: line_length
select count(*) from (
    select 1 from lineshaft.job where gate = %(gate)s::text and stage = (select 5::smallint)
     order by rank, coalesce(turn, run_at), id limit %(limit)s) as line;
