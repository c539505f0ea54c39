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
-- is pending; "you are already subscribed" while it is confirmed; "is this your new address?" while
-- that is asked, and goes there, unless too many have asked to have their mail there.
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
       s.newsletter, coalesce(c.language, s.language) as language, s.notice,
       coalesce(c.handle, s.handle) as handle, coalesce(c.asked_at, s.asked_at) as asked_at,
       p.restricted_at is null
           and case t.kind
                   when 'address' then c.expires_at > now() and c.confirmed_at is null and (
                       select count(*) <= 3 from address_change o
                       where o.lookup = c.lookup and o.asked_at > now() - interval '1 day'
                   )
                   when 'confirm' then s.state = 'pending'
                   else s.state = 'confirmed'
               end is true as wanted,
       p.id as subscriber, p.handle as subscriber_handle, k.dek,
       coalesce(c.address, p.address) as address
from taken t
join subscription s on s.id = t.subscription
join subscriber p on p.id = s.subscriber
join subject k on k.id = p.id
left join address_change c on c.subscriber = p.id and t.kind = 'address'
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
       s.newsletter, s.language, s.notice, s.handle, s.asked_at,
       s.state = 'confirmed' and p.restricted_at is null as wanted,
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

-- name: forget_settled
-- But for letters that a running renewal asks about: who never got one does not lapse.
with gone as (
    delete from outbox
    where id in (
        select id from outbox
        where digest is null and state <> 'waiting' and settled_at <= now() - make_interval(days => $1)
          and not exists (
              select from renewal_asked a
              join renewal r on r.id = a.renewal
              where outbox.kind = 'renew' and a.subscription = outbox.subscription
                and r.ended_at is null
          )
        limit $2
        for update skip locked
    )
    returning 1
)
select count(*) from gone;

-- name: settled_due
select count(*) filter (where settled_at <= now() - make_interval(days => $1)) as due,
       min(settled_at) filter (where settled_at > now() - make_interval(days => $1))
           + make_interval(days => $1) as next
from outbox
where digest is null and state <> 'waiting';

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
