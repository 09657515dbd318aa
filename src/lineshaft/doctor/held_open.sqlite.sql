-- name: open_transactions
-- SQLite keeps no list of transactions: one that is held open shows by the log that it holds back.
select 1 where :seconds < 0;

-- name: may_see_others
select 1, '';

-- name: move_log
-- Moves as much of the log into the file as the readers allow: whether it was disturbed, pages in the log, pages moved.
pragma wal_checkpoint(passive);
