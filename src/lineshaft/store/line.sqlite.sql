-- name: park_jobs
update lineshaft_job not indexed
   set stage = 5, worker = null, attempt = attempt - 1, started_at = case when attempt > 1 then started_at end,
       gate = r.value ->> 'gate'
  from json_each(:rows) as r
 where seq = r.value ->> 'key' and claim = r.value ->> 'claim' and stage = 1 and worker = :worker;
select changes();

-- name: park_unclaimed
-- Those that nobody has claimed meanwhile.
update lineshaft_job not indexed set stage = 5, gate = r.value ->> 'gate'
  from json_each(:rows) as r
 where seq = r.value ->> 'key' and stage = 1 and worker is null;
select changes();

-- name: park_ready json
select json_group_array(json_array(id, seq, name, args, options, tenant, rank, place, sequence)) from (
    select id, seq, name, args, options, tenant, rank, coalesce(turn, run_at) as place, sequence from lineshaft_job
     where stage = 1 and queue = :queue and worker is null and gate is null and not cancel_requested
     order by rank, coalesce(turn, run_at), id limit :limit);

-- name: release_line json rings-worker
-- Of each queue of a line as many heads as are to leave it, and of those the first. LIMIT may not name a column, so each
-- is looked for behind the one before it; by three ranges of the index, for SQLite compares rows by an index of plain
-- columns only, and jobs of one enqueue have the same time.
with recursive line (gate, n, queue) as (
    select r.value ->> 'key', r.value ->> 'count',
           (select queue from lineshaft_job indexed by lineshaft_job_line
             where gate = r.value ->> 'key' and stage = 5 and finished_at is null order by queue limit 1)
      from json_each(:rows) as r
     where r.value ->> 'count' > 0
    union all
    select l.gate, l.n,
           (select queue from lineshaft_job indexed by lineshaft_job_line
             where gate = l.gate and stage = 5 and finished_at is null and queue > l.queue order by queue limit 1)
      from line as l
     where l.queue is not null
), head (gate, n, queue, least, seq) as (
    select l.gate, l.n, l.queue, l.n,
           (select seq from lineshaft_job indexed by lineshaft_job_line
             where gate = l.gate and stage = 5 and finished_at is null and queue = l.queue
             order by rank, coalesce(turn, run_at), id limit 1)
      from line as l
     where l.queue is not null
    union all
    select h.gate, h.n, h.queue, h.least - 1, coalesce(
           (select l.seq from lineshaft_job as l indexed by lineshaft_job_line
             where l.gate = h.gate and l.stage = 5 and l.finished_at is null and l.queue = h.queue
               and l.rank = p.rank and coalesce(l.turn, l.run_at) = coalesce(p.turn, p.run_at) and l.id > p.id
             order by l.id limit 1),
           (select l.seq from lineshaft_job as l indexed by lineshaft_job_line
             where l.gate = h.gate and l.stage = 5 and l.finished_at is null and l.queue = h.queue
               and l.rank = p.rank and coalesce(l.turn, l.run_at) > coalesce(p.turn, p.run_at)
             order by coalesce(l.turn, l.run_at), l.id limit 1),
           (select l.seq from lineshaft_job as l indexed by lineshaft_job_line
             where l.gate = h.gate and l.stage = 5 and l.finished_at is null and l.queue = h.queue and l.rank > p.rank
             order by l.rank, coalesce(l.turn, l.run_at), l.id limit 1))
      from head as h cross join lineshaft_job as p on p.seq = h.seq
     where h.least > 1
)
select json_group_array(seq) from (
    select h.seq, h.n, row_number() over (partition by h.gate order by j.rank, coalesce(j.turn, j.run_at), j.id) as number
      from head as h cross join lineshaft_job as j on j.seq = h.seq)
 where number <= n;
update lineshaft_job set stage = 1 where seq in (select value from json_each(:previous));
select json_group_array(json_array(queue)) from (
    select distinct queue from lineshaft_job where seq in (select value from json_each(:previous)));

-- name: queues_of_lines json
-- Which queues have jobs in lines, by jumps from one to the next; which are served; and which are paused.
with recursive line (queue) as (
    select min(queue) from lineshaft_job indexed by lineshaft_job_parked where stage = 5
    union all
    select (select min(queue) from lineshaft_job indexed by lineshaft_job_parked where stage = 5 and queue > line.queue)
      from line where line.queue is not null
)
select json_group_array(json_array(what, queue)) from (
    select 'line' as what, queue from line where queue is not null
    union all
    select distinct 'served', q.key from lineshaft_worker as w cross join json_each(w.queues) as q where not w.is_draining
    union all
    select 'paused', name from lineshaft_queue where paused_at is not null);

-- name: heads_of_queues json
-- The first jobs of each line and each of these queues, at most so many each.
select json_group_array(json_array(r.value ->> 'key', j.rank, coalesce(j.turn, j.run_at), j.id))
  from json_each(:rows) as r cross join json_each(:queues) as q
       cross join lineshaft_job as j
               on j.seq in (select seq from lineshaft_job indexed by lineshaft_job_line
                             where gate = r.value ->> 'key' and stage = 5 and finished_at is null and queue = q.value
                             order by rank, coalesce(turn, run_at), id limit :limit);

-- name: release_found json rings-worker
select json_group_array(seq) from lineshaft_job indexed by lineshaft_job_id
 where id in (select value from json_each(:ids)) and stage = 5;
update lineshaft_job set stage = 1 where seq in (select value from json_each(:previous));
select json_group_array(json_array(queue)) from (
    select distinct queue from lineshaft_job where seq in (select value from json_each(:previous)));

-- name: release_jobs json rings-worker
-- Of a strict order, whose gate has the name of the sequence: another line that the job stands in keeps it.
select json_group_array(seq) from lineshaft_job indexed by lineshaft_job_id
 where id in (select value from json_each(:ids)) and stage = 5 and gate = sequence;
update lineshaft_job set stage = 1 where seq in (select value from json_each(:previous));
select json_group_array(json_array(queue)) from (
    select distinct queue from lineshaft_job where seq in (select value from json_each(:previous)));

-- name: leave_gates
-- Jobs that do not ask the gate any more that has released them: it must not count them as its own.
update lineshaft_job not indexed set gate = null
  from json_each(:rows) as r
 where seq = r.value ->> 'key' and claim = r.value ->> 'claim';
select changes();

-- name: join_sequences
update lineshaft_job not indexed set sequence = r.value ->> 'sequence'
  from json_each(:rows) as r
 where seq = r.value ->> 'key' and claim = r.value ->> 'claim';
select changes();

-- name: join_unclaimed
-- Those that nobody has claimed meanwhile.
update lineshaft_job not indexed set sequence = r.value ->> 'sequence'
  from json_each(:rows) as r
 where seq = r.value ->> 'key' and stage = 1 and worker is null;
select changes();

-- name: claim_heads json rings-follower
-- Of each line that is of this queue alone the first job, for the worker that has just freed its place: it need not be
-- found among the ready ones.
select json_group_array(seq) from (
    select j.seq
      from json_each(:keys) as k cross join lineshaft_job as j
           on j.seq = (select seq from lineshaft_job indexed by lineshaft_job_line
                        where gate = k.value and stage = 5 and finished_at is null and queue = :queue
                        order by rank, coalesce(turn, run_at), id limit 1)
     where not exists (select 1 from lineshaft_job indexed by lineshaft_job_line
                        where gate = k.value and stage = 5 and finished_at is null and queue < :queue)
       and not exists (select 1 from lineshaft_job indexed by lineshaft_job_line
                        where gate = k.value and stage = 5 and finished_at is null and queue > :queue)
       and not exists (select 1 from lineshaft_queue where name = :queue and (paused_at is not null or is_gated))
       and not exists (select 1 from lineshaft_epoch where first_worker > :worker)
     limit :limit);
update lineshaft_job set stage = 1, worker = :worker, claim = claim + 1, attempt = attempt + 1, started_at = :now,
       progress = null
 where seq in (select value from json_each(:previous));
select json_group_array(json_array(
           id, claim, worker, attempt, attempts_before, losses, deadline, created_at, unknown_since, seq,
           name, args, rank, coalesce(turn, run_at), is_isolated, cancel_requested, max_attempts, queue, tenant, tags,
           meta, options, context, gate, sequence))
  from lineshaft_job where seq in (select value from json_each(:previous));
