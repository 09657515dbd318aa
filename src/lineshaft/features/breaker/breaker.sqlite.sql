-- name: breaker_states
select key, state from lineshaft_gate where key >= 'breaker:' and key < 'breaker;';

-- name: list_breakers
select g.key, r.declared, g.state,
       (select count(*) from (
           select 1 from lineshaft_job indexed by lineshaft_job_line
            where gate = g.key and stage = 5 and finished_at is null limit 10000))
  from lineshaft_gate as g left join lineshaft_limit_rule as r on r.name = g.rule
 where g.key >= 'breaker:' and g.key < 'breaker;';

-- name: declared_breakers
select name, declared from lineshaft_limit_rule where kind = 'breaker';

-- name: set_breaker rings-worker
-- Whoever wakes for its line finds what it says now.
update lineshaft_gate set state = :state, wake_at = case when wake_at is not null then :now end where key = :key;
