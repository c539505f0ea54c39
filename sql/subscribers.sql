-- name: keep
insert into subscriber (id, lookup, address, language, handle)
values ($1, $2, $3, $4, $5)
on conflict (lookup) do nothing
returning id;

-- name: forget_subject
-- Only ever a subject that was kept in this transaction and came second.
delete from subject where id = $1 and seq = 0;

-- name: by_address -> mailer.subscribers.Subscriber
select p.id, s.dek, p.address, p.language, p.handle
from subscriber p
join subject s on s.id = p.id
where p.lookup = $1;

-- name: by_handle -> mailer.subscribers.Subscriber
select p.id, s.dek, p.address, p.language, p.handle
from subscriber p
join subject s on s.id = p.id
where p.handle = $1;

-- name: get -> mailer.subscribers.Subscriber
select p.id, s.dek, p.address, p.language, p.handle
from subscriber p
join subject s on s.id = p.id
where p.id = $1;

-- name: erase
delete from subscriber where id = $1;
