-- name: fair_settings
select name, flow from lineshaft.queue
 where is_fair and name in (select r.queue from json_to_recordset(%(rows)s::json) as r (queue text)) order by queue.name;

-- name: take_turns
-- `head` is how far a queue has come: the place of the next job to be served, or of the last one that is. Jobs that come
-- back keep their turns and stand far before it, so those are passed over, and it never lies before what was written
-- down. Nobody draws further
-- behind the queue's last job than what they drew lately, which may not be visible yet: otherwise whoever's backlog was
-- cancelled would wait behind those that came meanwhile.
-- Rows are locked in order: keys first, then those of how far queues have come.
with asked as materialized (
    select r.queue, r.rank, r.key, r.step, r.step * r.jobs as span
      from json_to_recordset(%(rows)s::json) as r (queue text, rank smallint, key text, step bigint, jobs bigint)
), line as materialized (
    select distinct queue, rank from asked
     where exists (select from lineshaft.queue q where q.name = asked.queue and q.is_fair)
), seen as materialized (
    select line.queue, line.rank, known.head as known, (
               select place from (
                   select coalesce(turn, run_at) as place, claim from lineshaft.job
                    where stage = 1 and queue = line.queue and rank = line.rank and worker is null
                    order by rank, coalesce(turn, run_at), id limit 100) as next
                where claim = 0 limit 1) as fresh, (
               select coalesce(turn, run_at) from lineshaft.job
                where stage = 1 and queue = line.queue and rank = line.rank and worker is null
                order by rank, coalesce(turn, run_at), id limit 1) as first, (
               select coalesce(turn, run_at) from lineshaft.job
                where stage = 1 and queue = line.queue and rank = line.rank
                order by rank desc, coalesce(turn, run_at) desc, id desc limit 1) as last
      from line left join lineshaft.fair as known on known.queue = line.queue and known.rank = line.rank and known.key = ''
), course as materialized (
    select queue, rank, known, greatest(coalesce(fresh, first, last, %(now)s::bigint), known) as head,
           greatest(last, coalesce(fresh, first, last, %(now)s::bigint), known) as tail
      from seen
), drawn as (
    insert into lineshaft.fair as f (queue, rank, key, next, head, tail, step, span, drawn_at, lately)
    select queue, rank, key, (head | 1) + span, head, tail, step, span, %(now)s::bigint, span
      from asked join course using (queue, rank)
     order by queue, rank, key
        on conflict (queue, rank, key) do update
       set next = (case when f.next <= (excluded.head | 1) then excluded.head
                        else least(f.next, excluded.tail + excluded.step + f.lately * greatest(0, least(
                             1000, (11000000 - excluded.drawn_at + f.drawn_at) / 10000)) / 1000) end | 1) + excluded.span,
           head = excluded.head, tail = excluded.tail, step = excluded.step, span = excluded.span,
           drawn_at = excluded.drawn_at,
           lately = excluded.span + f.lately * greatest(0, least(
                    1000, (11000000 - excluded.drawn_at + f.drawn_at) / 10000)) / 1000
    returning queue, rank, key, next - span as start, next - span = (head | 1) as is_first
), moved as (
    insert into lineshaft.fair as f (queue, rank, key, next, head, tail, step, span, drawn_at, lately)
    select queue, rank, '', head, head, head, 0, 0, %(now)s::bigint, 0
      from course where known is null or head > known + %(slack)s::bigint
     order by queue, rank
        on conflict (queue, rank, key) do update
       set next = greatest(f.head, excluded.head), head = greatest(f.head, excluded.head), drawn_at = excluded.drawn_at
)
select queue, rank, key, start, is_first,
       case when %(is_apart)s::boolean then set_config('synchronous_commit', 'off', true) end
  from drawn;

-- name: lock_due
-- Those among the first that are due: however many others are due behind them, they are not read.
with due as materialized (
    select id, queue, rank, fair, turn, run_at from lineshaft.job where stage in (0, 2) and run_at <= %(now)s
     order by run_at limit %(limit)s for update skip locked
)
select id::text, run_at, queue, rank, fair from due where fair is not null and turn is null;

-- name: set_turns
-- Where each statement is a transaction of its own, somebody else may have been as quick.
with drawn as materialized (
    select r.id, r.turn from json_to_recordset(%(rows)s::json) as r (id uuid, turn bigint)
), placed as (
    update lineshaft.job set stage = 1, turn = drawn.turn from drawn
     where job.id = drawn.id and job.id = any(array(select id from drawn)) and stage in (0, 2) and job.turn is null
    returning queue
)
select count(*),
       (select count(pg_notify('lineshaft_worker', queue)) from (select distinct queue from placed) as woken
         where exists (select from lineshaft.worker where is_idle))
  from placed;

-- name: set_fair
update lineshaft.queue set is_fair = %(is_fair)s where name = %(queue)s;

-- name: name_waiting
-- What falls due later draws a turn then.
update lineshaft.job set fair = case when %(by_tenant)s::boolean and tenant is not null then '=' || tenant else '-' end
 where stage in (0, 2) and queue = %(queue)s and fair is null and turn is null;

-- name: ready_ranks
-- A loose index scan: one step down the index for each rank.
with recursive ready as (
    (select rank from lineshaft.job where stage = 1 and queue = %(queue)s order by rank limit 1)
    union all
    select following.rank
      from ready cross join lateral (
           select rank from lineshaft.job where stage = 1 and queue = %(queue)s and rank > ready.rank
            order by rank limit 1) as following
)
select rank from ready;

-- name: drop_turns
-- Only turns ahead of time would keep their jobs behind newer ones; a row that has none leaves this range.
with dropped as (
    update lineshaft.job set turn = null, fair = null where ctid = any(array(
        select ctid from lineshaft.job
         where stage = 1 and queue = %(queue)s and rank = %(rank)s::smallint and worker is null
           and coalesce(turn, run_at) > %(now)s and turn is not null
         order by rank, coalesce(turn, run_at), id limit %(limit)s for update skip locked))
    returning 1
)
select count(*) from dropped;

-- name: last_turn_of_page
select queue, rank, key from (
    select queue, rank, key from lineshaft.fair where (queue, rank, key) > (%(queue)s::text, %(rank)s::smallint, %(key)s::text)
     order by fair.queue, fair.rank, fair.key limit %(limit)s) as page
 order by page.queue desc, page.rank desc, page.key desc limit 1;

-- name: remove_turns
-- A scalar, where "not exists" would have every ready job read to make a hash table of them.
with gone as (
    delete from lineshaft.fair
     where (queue, rank, key) > (%(queue)s::text, %(rank)s::smallint, %(key)s::text)
       and (queue, rank, key) <= (%(last_queue)s::text, %(last_rank)s::smallint, %(last_key)s::text)
       and drawn_at < %(before)s and (
           (key <> '' and next <= (select head from lineshaft.fair as known
                                    where known.queue = fair.queue and known.rank = fair.rank and known.key = ''))
           or (select 1 from lineshaft.job where stage = 1 and queue = fair.queue and rank = fair.rank limit 1) is null)
    returning 1
)
select count(*) from gone;

-- name: turn_of
select queue, rank, coalesce(turn, run_at), fair, flow
  from lineshaft.job join lineshaft.queue on queue.name = job.queue
 where id = %(id)s::uuid and stage = 1 and worker is null and is_fair and fair is not null;

-- name: before_turn
select count(*), count(distinct fair) filter (where fair is distinct from %(fair)s::text) from (
    select fair from lineshaft.job
     where stage = 1 and queue = %(queue)s and rank = %(rank)s::smallint and worker is null
       and (coalesce(turn, run_at), id) < (%(turn)s::bigint, %(id)s::uuid)
     order by rank, coalesce(turn, run_at), job.id limit %(limit)s) as before;
