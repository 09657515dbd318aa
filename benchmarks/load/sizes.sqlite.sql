-- name: sizes
-- One table: its live part cannot be told from the rest by its size.
select 0, 0, page_count * page_size from pragma_page_count(), pragma_page_size();
