-- name: data_folder
select null, '';
