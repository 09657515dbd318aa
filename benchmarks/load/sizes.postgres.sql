-- name: sizes
select pg_relation_size('lineshaft.job'), pg_indexes_size('lineshaft.job'),
       (select sum(pg_total_relation_size(relid)) from pg_partition_tree('lineshaft.history'));
