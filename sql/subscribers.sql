-- name: keep
insert into subscriber (id, lookup, address, language, handle)
values ($1, $2, $3, $4, $5)
on conflict (lookup) do nothing
returning id;

-- name: keep_all
insert into subscriber (id, lookup, address, language, handle)
select * from unnest($1::uuid[], $2::bytea[], $3::bytea[], $4::text[], $5::integer[])
on conflict (lookup) do nothing
returning id;

-- name: hold
select pg_advisory_xact_lock(key) from unnest($1::bigint[]) as held (key);

-- name: forget_subject
-- Only ever a subject that was kept in this transaction and came second.
delete from subject where id = $1 and seq = 0;

-- name: forget_unasked
-- Whoever turned out to have been asked too often, and was not known before.
with gone as (
    delete from subscriber p using subject s
    where p.id = $1 and s.id = p.id and s.seq = 0
      and not exists (select from subscription where subscriber = p.id)
    returning p.id
)
select id from gone;

-- name: by_address -> mailer.subscribers.Subscriber
select p.id, s.dek, p.address, p.language, p.handle, p.restricted_at
from subscriber p
join subject s on s.id = p.id
where p.lookup = $1;

-- name: by_handle -> mailer.subscribers.Subscriber
select p.id, s.dek, p.address, p.language, p.handle, p.restricted_at
from subscriber p
join subject s on s.id = p.id
where p.handle = $1;

-- name: get -> mailer.subscribers.Subscriber
select p.id, s.dek, p.address, p.language, p.handle, p.restricted_at
from subscriber p
join subject s on s.id = p.id
where p.id = $1;

-- name: lock_subscriptions
-- Whoever works for a person locks the subscription first; so does who erases the person.
select id from subscription where subscriber = $1 order by id for update;

-- name: erase
-- Subscriptions, and the mails that wait for them, go along.
delete from subscriber where id = $1 returning true;

-- name: restrict
update subscriber set restricted_at = now() where id = $1 and restricted_at is null returning true;

-- name: unrestrict
update subscriber set restricted_at = null where id = $1 and restricted_at is not null
returning true;

-- name: move
-- Unless somebody else has that address; a new handle, so that links mailed to the old one end.
update subscriber set lookup = $2, address = $3, handle = $4
where id = $1 and not exists (select from subscriber where lookup = $2 and id <> $1)
returning true;

-- name: end_links
-- Of confirmations mailed to an address that is the person's no more.
update subscription set asked_at = clock_timestamp() where subscriber = $1 and state = 'pending';
