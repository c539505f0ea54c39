-- name: put
insert into job (id, kind, wanted, asked_by) values ($1, $2, $3, $4) on conflict do nothing
returning true;

-- name: get -> mailer.jobs.Job
select j.id, j.kind, s.dek, j.wanted, j.asked_by, j.asked_at, j.worker is not null as begun, j.done,
       j.total, j.result, j.finished_at
from job j
join subject s on s.id = j.id
where j.id = $1;

-- name: latest -> mailer.jobs.Job
select j.id, j.kind, s.dek, j.wanted, j.asked_by, j.asked_at, j.worker is not null as begun, j.done,
       j.total, j.result, j.finished_at
from job j
join subject s on s.id = j.id
where j.kind = $1
order by j.asked_at desc
limit $2;

-- name: claim
-- What nobody does; or what this worker has not come to the end of.
update job set worker = $1, done = 0, total = null
where id = (
    select id from job
    where finished_at is null and (worker is null or worker = $1)
    order by asked_at
    limit 1
    for update skip locked
)
returning id;

-- name: move
update job set done = $3, total = coalesce($4, total) where id = $1 and worker = $2;

-- name: finish
update job set result = $3, finished_at = now(), worker = null, done = coalesce(total, done)
where id = $1 and worker = $2 and finished_at is null
returning true;

-- name: clear
delete from job_piece where job = $1;

-- name: put_piece
insert into job_piece (job, number, body) values ($1, $2, $3);

-- name: piece
select body from job_piece where job = $1 and number = $2;

-- name: forget
-- Their key first of all; the job and its file go along.
with gone as (
    delete from subject
    where id in (
        select id from job where kind = 'extract' and finished_at < now() - $1::interval
    )
    returning 1
)
select count(*) from gone;

-- name: remove
delete from subject where id in (select id from job where id = $1 and finished_at is not null);
