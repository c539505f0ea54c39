-- name: begin
insert into session (sha256, staff, stage, device) values ($1, $2, $3, $4);

-- name: find -> mailer.sessions.Session
select id, staff, stage, device, wanted,
       extract(epoch from now() - proven_at)::float / 60 as proven_minutes, seen_at, created_at
from session_holding
where sha256 = $1;

-- name: seen
-- By the minute: most requests write nothing.
update session set seen_at = now() where id = $1 and seen_at < now() - interval '1 minute';

-- name: complete
update session
set sha256 = $2, stage = 'whole', proven_at = now(), created_at = now(), seen_at = now()
where id = $1;

-- name: want
update session set wanted = $2 where id = $1 and wanted is distinct from $2;

-- name: prove
with before as (select wanted from session where id = $1)
update session set proven_at = now(), wanted = null where id = $1
returning (select wanted from before);

-- name: of -> mailer.sessions.Session
select id, staff, stage, device, wanted,
       extract(epoch from now() - proven_at)::float / 60 as proven_minutes, seen_at, created_at
from session_holding
where staff = $1 and stage = 'whole'
order by seen_at desc, id;

-- name: end
delete from session where staff = $1 and id = $2 returning id;

-- name: end_others
with ended as (delete from session where staff = $1 and id is distinct from $2 returning id)
select count(*) from ended;

-- name: forget_old
delete from session s
where not exists (select from session_holding h where h.id = s.id);
