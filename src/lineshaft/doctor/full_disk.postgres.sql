-- name: data_folder
select case when pg_has_role(current_user, 'pg_read_all_settings', 'usage') then current_setting('data_directory') end,
       current_user::text;
