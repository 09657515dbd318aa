-- name: fill_waiting
-- One in a hundred is of a higher rank, as where somebody waits for a few of many.
insert into lineshaft.job (id, queue, name, rank, run_at, stage, created_at, max_attempts, args)
select (lpad(to_hex(at / 1000), 12, '0') || '7' || lpad(to_hex(n & 4095), 3, '0') || '8' || lpad(to_hex(n), 15, '0'))::uuid,
       %(queue)s, %(name)s, case when n %% 100 = 0 then -1 else 0 end, at, 1, at, 4, '[[' || n || '],{}]'
  from (select n, %(start)s::bigint + n * %(spacing)s::bigint as at
          from generate_series(%(first)s::bigint, %(last)s::bigint) as n) as numbered;

-- name: fill_finished
-- One in a hundred is dead and kept for 30 days, the others completed and are kept for two.
insert into lineshaft.history (
    id, queue, name, rank, run_at, stage, created_at, started_at, worker, claim, attempt, attempts_before,
    max_attempts, losses, args, errors, reason, result, finished_at, expires_at)
select (lpad(to_hex(at / 1000), 12, '0') || '7' || lpad(to_hex(n & 4095), 3, '0') || '9' || lpad(to_hex(n), 15, '0'))::uuid,
       %(queue)s, %(name)s, 0, at, case when n %% 100 = 0 then 11 else 10 end, at, at + 4000, 1, 1, 1, 0,
       4, 0, '[[' || n || '],{}]',
       case when n %% 100 = 0 then '{"attempt":1,"type":"ValueError","message":"no such page"}' end,
       case when n %% 100 = 0 then 'error' end, case when n %% 100 <> 0 then n::text end, at + 5000,
       at + case when n %% 100 = 0 then 2592000000000 else 172800000000 end
  from (select n, %(start)s::bigint + n * %(spacing)s::bigint as at
          from generate_series(%(first)s::bigint, %(last)s::bigint) as n) as numbered;

-- name: fill_delayed
-- Each job is told when it is due, in microseconds.
insert into lineshaft.job (id, queue, name, rank, run_at, stage, created_at, max_attempts, args)
select (lpad(to_hex(at / 1000), 12, '0') || '7' || lpad(to_hex(n & 4095), 3, '0') || 'a' || lpad(to_hex(n), 15, '0'))::uuid,
       %(queue)s, %(name)s, 0, at, 0, at, 4, '[[' || at || '],{}]'
  from (select n, %(start)s::bigint + n * %(spacing)s::bigint as at
          from generate_series(%(first)s::bigint, %(last)s::bigint) as n) as numbered;
