-- name: job_stages
select id, stage, worker is not null, cancel_requested
  from lineshaft_job where id in (select value from json_each(:ids));
