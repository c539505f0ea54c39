-- name: put
insert into outbox (kind, subscription) values ($1, $2);

-- name: put_digest
-- `on conflict`: approving again, or a reader who came twice, adds nothing.
with added as (
    insert into outbox (kind, subscription, digest)
    select 'digest', s.id, d.id
    from digest d
    join subscription s on s.newsletter = d.newsletter and s.cadence = d.cadence
    where d.id = $1
      and s.state = 'confirmed'
      and (s.paused_until is null or s.paused_until <= now())
    on conflict (digest, subscription) do nothing
    returning 1
)
select count(*) from added;

-- name: wake
select pg_notify($1, $2);

-- name: claim_letters -> mailer.outbox.Claimed
-- `skip locked`: workers never wait for each other. A confirmation is wanted while its subscription
-- is pending; "you are already subscribed" while it is confirmed.
with taken as (
    update outbox o
    set worker = $1, attempts = o.attempts + 1
    where o.id in (
        select id from outbox
        where state = 'waiting' and worker is null and digest is null and due_at <= now()
        order by due_at, id
        limit $2
        for update skip locked
    )
    returning o.*
)
select t.id, t.kind, t.digest, t.message, t.attempts, t.attested, t.created_at, t.subscription,
       s.newsletter, s.language, s.notice, s.handle, s.asked_at,
       s.state = case t.kind when 'confirm' then 'pending' else 'confirmed' end as wanted,
       p.id as subscriber, p.handle as subscriber_handle, k.dek, p.address
from taken t
join subscription s on s.id = t.subscription
join subscriber p on p.id = s.subscriber
join subject k on k.id = p.id
order by t.due_at, t.id;

-- name: claim_digests -> mailer.outbox.Claimed
-- Only digests that are being sent are looked at: the mails of a paused one cost nothing.
with taken as (
    update outbox o
    set worker = $1, attempts = o.attempts + 1
    where o.id in (
        select due.id
        from digest d
        cross join lateral (
            select id from outbox
            where digest = d.id and state = 'waiting' and worker is null and due_at <= now()
            order by due_at, id
            limit $2
            for update skip locked
        ) due
        where d.state = 'sending'
        limit $2
    )
    returning o.*
)
select t.id, t.kind, t.digest, t.message, t.attempts, t.attested, t.created_at, t.subscription,
       s.newsletter, s.language, s.notice, s.handle, s.asked_at, s.state = 'confirmed' as wanted,
       p.id as subscriber, p.handle as subscriber_handle, k.dek, p.address
from taken t
join subscription s on s.id = t.subscription
join subscriber p on p.id = s.subscriber
join subject k on k.id = p.id
order by t.due_at, t.id;

-- name: attest
update outbox set attested = true where id = $1;

-- name: drop
update outbox set state = 'dropped', worker = null, settled_at = now()
where id = any ($1::bigint[]) and state = 'waiting';

-- name: drop_renewals
update outbox o set state = 'dropped', settled_at = now()
from subscription s
where o.subscription = s.id and s.newsletter = $1 and o.kind = 'renew' and o.state = 'waiting';

-- name: settle
-- Also when somebody else holds it by now: what was sent was sent.
update outbox set state = $2, worker = null, reply = $3, settled_at = now()
where id = $1 and state = 'waiting';

-- name: defer
update outbox set worker = null, due_at = now() + $2::interval, reply = $3
where id = $1 and state = 'waiting';

-- name: release
update outbox set worker = null, due_at = now() + $2::interval, attempts = attempts - 1
where id = any ($1::bigint[]) and state = 'waiting';

-- name: progress
select state, count(*) from outbox where digest = $1 group by state;

-- name: beat
-- Whether the worker was itself silent before.
with before as (
    select seen_at from worker where id = $1
), beaten as (
    insert into worker (id) values ($1) on conflict (id) do update set seen_at = now()
)
select coalesce((select seen_at < now() - interval '15 seconds' from before), false);

-- name: bury_silent
-- Deleting a worker frees the mails it holds (on delete set null).
delete from worker where seen_at < now() - interval '30 seconds';

-- name: bury
delete from worker where id = $1;

-- name: workers
select count(*) from worker where seen_at > now() - interval '15 seconds';
