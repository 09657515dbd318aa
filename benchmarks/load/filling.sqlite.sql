-- name: fill_waiting
-- One in a hundred is of a higher rank, as where somebody waits for a few of many.
with recursive numbers (n) as (select :first union all select n + 1 from numbers where n < :last),
     numbered (n, at) as (select n, :start + n * :spacing from numbers)
insert into lineshaft_job (id, queue, name, rank, run_at, stage, created_at, max_attempts, args)
select printf('%08x-%04x-7%03x-8000-%012x', (at / 1000) >> 16, (at / 1000) & 65535, n & 4095, n),
       :queue, :name, case when n % 100 = 0 then -1 else 0 end, at, 1, at, 4, '[[' || n || '],{}]'
  from numbered;

-- name: fill_finished
-- One in a hundred is dead and kept for 30 days, the others completed and are kept for two.
with recursive numbers (n) as (select :first union all select n + 1 from numbers where n < :last),
     numbered (n, at) as (select n, :start + n * :spacing from numbers)
insert into lineshaft_job (
    id, queue, name, rank, run_at, stage, created_at, started_at, worker, claim, attempt, max_attempts, args, errors,
    reason, result, finished_at, expires_at)
select printf('%08x-%04x-7%03x-9000-%012x', (at / 1000) >> 16, (at / 1000) & 65535, n & 4095, n),
       :queue, :name, 0, at, case when n % 100 = 0 then 11 else 10 end, at, at + 4000, 1, 1, 1, 4,
       '[[' || n || '],{}]',
       case when n % 100 = 0 then '{"attempt":1,"type":"ValueError","message":"no such page"}' end,
       case when n % 100 = 0 then 'error' end, case when n % 100 <> 0 then cast(n as text) end, at + 5000,
       at + case when n % 100 = 0 then 2592000000000 else 172800000000 end
  from numbered;

-- name: fill_delayed
-- Each job is told when it is due, in microseconds.
with recursive numbers (n) as (select :first union all select n + 1 from numbers where n < :last),
     numbered (n, at) as (select n, :start + n * :spacing from numbers)
insert into lineshaft_job (id, queue, name, rank, run_at, stage, created_at, max_attempts, args)
select printf('%08x-%04x-7%03x-a000-%012x', (at / 1000) >> 16, (at / 1000) & 65535, n & 4095, n),
       :queue, :name, 0, at, 0, at, 4, '[[' || at || '],{}]'
  from numbered;
