-- name: breaker_states
select key, state from lineshaft.gate where key >= 'breaker:' and key < 'breaker;';

-- name: list_breakers
-- The stage is a value that the planner does not know: no plan may walk another index.
select g.key, r.declared, g.state,
       (select count(*) from (
           select 1 from lineshaft.job where gate = g.key and stage = (select 5::smallint)
            order by rank, coalesce(turn, run_at), id limit 10000) as line)
  from lineshaft.gate as g left join lineshaft.limit_rule as r on r.name = g.rule
 where g.key >= 'breaker:' and g.key < 'breaker;';

-- name: declared_breakers
select name, declared from lineshaft.limit_rule where kind = 'breaker';

-- name: set_breaker
-- Whoever wakes for its line finds what it says now.
with changed as (
    update lineshaft.gate set state = %(state)s, wake_at = case when wake_at is not null then %(now)s end
     where key = %(key)s
    returning 1
)
select count(pg_notify('lineshaft_worker', '')) from changed;
