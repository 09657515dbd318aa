-- name: fair_settings
select name, flow from lineshaft_queue
 where is_fair and name in (select value ->> 'queue' from json_each(:rows)) order by name;

-- name: take_turns
-- `head` is how far a queue has come: the place of the next job to be served, or of the last one that is. Jobs that come
-- back keep their turns and stand far before it, so those are passed over, and it never lies before what was written
-- down. Nobody draws further behind the queue's last job than what they drew lately: otherwise whoever's backlog was
-- cancelled would wait behind those that came meanwhile.
with line as (
    select distinct value ->> 'queue' as queue, value ->> 'rank' as rank
      from json_each(:rows) where value ->> 'queue' in (select name from lineshaft_queue where is_fair)
), seen as materialized (
    select line.queue, line.rank, known.head as known, (
               select place from (
                   select coalesce(turn, run_at) as place, claim from lineshaft_job indexed by lineshaft_job_ready
                    where stage = 1 and queue = line.queue and rank = line.rank and worker is null
                    order by coalesce(turn, run_at), id limit 100)
                where claim = 0 limit 1) as fresh, (
               select coalesce(turn, run_at) from lineshaft_job indexed by lineshaft_job_ready
                where stage = 1 and queue = line.queue and rank = line.rank and worker is null
                order by coalesce(turn, run_at), id limit 1) as first, (
               select coalesce(turn, run_at) from lineshaft_job indexed by lineshaft_job_ready
                where stage = 1 and queue = line.queue and rank = line.rank
                order by coalesce(turn, run_at) desc, id desc limit 1) as last
      from line left join lineshaft_fair as known on known.queue = line.queue and known.rank = line.rank and known.key = ''
)
select json_group_array(json_array(queue, rank, known, head, max(head, coalesce(last, head))))
  from (select queue, rank, known, last, max(coalesce(fresh, first, last, :now), coalesce(known, -1)) as head from seen);
insert into lineshaft_fair as f (queue, rank, key, next, head, tail, step, span, drawn_at, lately)
select value ->> 0, value ->> 1, '', value ->> 3, value ->> 3, value ->> 3, 0, 0, :now, 0 from json_each(:previous)
 where value ->> 2 is null or value ->> 3 > (value ->> 2) + :slack
    on conflict (queue, rank, key) do update set next = excluded.head, head = excluded.head, drawn_at = excluded.drawn_at;
insert into lineshaft_fair as f (queue, rank, key, next, head, tail, step, span, drawn_at, lately)
select queue, rank, key, (head | 1) + span, head, tail, step, span, :now, span from (
    select asked.value ->> 'queue' as queue, asked.value ->> 'rank' as rank, asked.value ->> 'key' as key,
           asked.value ->> 'step' as step, (asked.value ->> 'step') * (asked.value ->> 'jobs') as span,
           course.value ->> 3 as head, course.value ->> 4 as tail
      from json_each(:previous) as course cross join json_each(:rows) as asked
     where course.value ->> 0 = asked.value ->> 'queue' and course.value ->> 1 = asked.value ->> 'rank') where true
    on conflict (queue, rank, key) do update
   set next = (case when f.next <= (excluded.head | 1) then excluded.head
                    else min(f.next, excluded.tail + excluded.step + f.lately * max(0, min(
                         1000, (11000000 - excluded.drawn_at + f.drawn_at) / 10000)) / 1000) end | 1) + excluded.span,
       head = excluded.head, tail = excluded.tail, step = excluded.step, span = excluded.span,
       drawn_at = excluded.drawn_at,
       lately = excluded.span + f.lately * max(0, min(
                1000, (11000000 - excluded.drawn_at + f.drawn_at) / 10000)) / 1000
returning queue, rank, key, next - span, next - span = (head | 1), :is_apart;

-- name: lock_due
-- Those among the first that are due: however many others are due behind them, they are not read.
select id, run_at, queue, rank, fair from (
    select id, queue, rank, fair, turn, run_at from lineshaft_job where stage in (0, 2) and run_at <= :now
     order by run_at limit :limit)
 where fair is not null and turn is null;

-- name: set_turns rings-worker
-- Where each statement is a transaction of its own, somebody else may have been as quick.
update lineshaft_job set stage = 1, turn = r.value ->> 'turn' from json_each(:rows) as r
 where lineshaft_job.id = r.value ->> 'id' and +stage in (0, 2) and turn is null;
select changes();

-- name: set_fair
update lineshaft_queue set is_fair = :is_fair where name = :queue;

-- name: name_waiting
-- What falls due later draws a turn then.
update lineshaft_job set fair = case when :by_tenant and tenant is not null then '=' || tenant else '-' end
 where stage in (0, 2) and queue = :queue and fair is null and turn is null;

-- name: ready_ranks
-- A loose index scan: one step down the index for each rank.
with recursive ready (rank) as (
    select min(rank) from lineshaft_job indexed by lineshaft_job_ready where stage = 1 and queue = :queue
    union all
    select (select min(job.rank) from lineshaft_job as job indexed by lineshaft_job_ready
             where job.stage = 1 and job.queue = :queue and job.rank > ready.rank)
      from ready where ready.rank is not null
)
select rank from ready where rank is not null;

-- name: drop_turns
-- Only turns ahead of time would keep their jobs behind newer ones; a row that has none leaves this range.
update lineshaft_job set turn = null, fair = null where seq in (
    select seq from lineshaft_job indexed by lineshaft_job_ready
     where stage = 1 and queue = :queue and rank = :rank and worker is null
       and coalesce(turn, run_at) > :now and turn is not null
     order by coalesce(turn, run_at), id limit :limit);
select changes();

-- name: last_turn_of_page
select queue, rank, key from (
    select queue, rank, key from lineshaft_fair where (queue, rank, key) > (:queue, :rank, :key)
     order by queue, rank, key limit :limit)
 order by queue desc, rank desc, key desc limit 1;

-- name: remove_turns
delete from lineshaft_fair
 where (queue, rank, key) > (:queue, :rank, :key) and (queue, rank, key) <= (:last_queue, :last_rank, :last_key)
   and drawn_at < :before and (
       (key <> '' and next <= (select head from lineshaft_fair as known
                                where known.queue = lineshaft_fair.queue and known.rank = lineshaft_fair.rank
                                  and known.key = ''))
       or not exists (select 1 from lineshaft_job as job indexed by lineshaft_job_ready
                       where job.stage = 1 and job.queue = lineshaft_fair.queue and job.rank = lineshaft_fair.rank));
select changes();

-- name: turn_of
select job.queue, rank, coalesce(turn, run_at), fair, flow
  from lineshaft_job as job join lineshaft_queue as queue on queue.name = job.queue
 where id = :id and stage = 1 and worker is null and is_fair and fair is not null;

-- name: before_turn
select count(*), count(distinct fair) filter (where fair is not :fair) from (
    select fair from lineshaft_job indexed by lineshaft_job_ready
     where stage = 1 and queue = :queue and rank = :rank and worker is null
       and (coalesce(turn, run_at), id) < (:turn, :id)
     order by coalesce(turn, run_at), id limit :limit);
