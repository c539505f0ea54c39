-- name: put
with made as (
    insert into batch (mails) values (1) returning id
)
insert into outbox (kind, subscription, batch) select $1, $2, id from made;

-- name: put_behind
-- A batch for each; which gets which does not matter.
with made as (
    insert into batch (mails, behind) select 1, true from unnest($2::bigint[]) returning id
), numbered as (
    select id, row_number() over () as n from made
)
insert into outbox (kind, subscription, batch)
select $1, s.id, m.id
from unnest($2::bigint[]) with ordinality as s (id, n)
join numbered m using (n);

-- name: put_staff
with made as (
    insert into batch (mails) values (1) returning id
)
insert into outbox (kind, staff, batch) select $1, $2, id from made;

-- name: put_digest
-- To each reader the main edition in their language, where there is one. Readers with bookmarks
-- (`entered`) get theirs by put_edition. In batches of $2, whose ids go in an array: a join of a
-- million readers with them, whose numbers the planner can't know, would be a bad one.
-- `on conflict`: one mail for each reader.
with reader as materialized (
    select s.id, e.id as edition, (row_number() over (order by s.id) - 1) / $2 as place
    from digest d
    join newsletter n on n.id = d.newsletter
    join subscription s on s.newsletter = d.newsletter and s.cadence = d.cadence
    join edition e
        on e.digest = d.id and e.main
       and e.language = case when s.language = any (n.languages) then s.language else n.fallback end
    where d.id = $1
      and s.state = 'confirmed'
      and s.entered is null
      and (s.paused_until is null or s.paused_until <= now())
), made as (
    insert into batch (digest, mails)
    select $1, count(*) from reader group by place order by place
    returning id
), numbers as materialized (
    select array_agg(id order by id) as ids from made
), added as (
    insert into outbox (kind, subscription, digest, edition, batch)
    select 'digest', r.id, $1, r.edition, n.ids[r.place + 1]
    from numbers n
    cross join reader r
    on conflict (digest, subscription) do nothing
    returning 1
)
select count(*) from added;

-- name: put_edition
-- In batches of $4.
with reader as materialized (
    select s.id, (s.place - 1) / $4 as place
    from unnest($3::bigint[]) with ordinality s (id, place)
    where not exists (select from outbox o where o.digest = $1 and o.subscription = s.id)
), made as (
    insert into batch (digest, mails)
    select $1, count(*) from reader group by place order by place
    returning id
), numbers as materialized (
    select array_agg(id order by id) as ids from made
), added as (
    insert into outbox (kind, subscription, digest, edition, batch)
    select 'digest', r.id, $1, $2, n.ids[r.place + 1]
    from numbers n
    cross join reader r
    on conflict (digest, subscription) do nothing
    returning 1
)
select count(*) from added;

-- name: wake
select pg_notify($1, $2);

-- name: by_key
-- For a connection whose statements all find rows by their keys, hundreds of times a second. Planned
-- anew each time they cost three times as much; and a plan made while tables were small, which reads
-- them whole, must not be kept until they are large.
select set_config('plan_cache_mode', 'force_generic_plan', false),
       set_config('enable_seqscan', 'off', false),
       set_config('enable_hashjoin', 'off', false),
       set_config('enable_mergejoin', 'off', false);

-- name: free_strays
-- Batches that the worker holds without knowing of it: the answer to its claim was lost.
update batch set worker = null
where worker = $1 and (digest is null) = $2 and id <> all ($3::bigint[]);

-- name: claim_letters
-- `skip locked`: workers never wait for each other.
update batch
set worker = $1, touched = true
where id in (
    select id from batch
    where worker is null and digest is null and due_at <= now()
    order by behind, due_at, id
    limit $2
    for update skip locked
)
returning id;

-- name: claim_digests
-- Only digests that are being sent are looked at; and no batch that waits for a provider, unless
-- it is one of those that have room ($3).
update batch
set worker = $1, touched = true
where id in (
    select due.id
    from digest d
    cross join lateral (
        select id from batch
        where digest = d.id and worker is null and due_at <= now()
          and (provider is null or provider = any ($3::text[]))
        order by due_at, id
        limit $2
        for update skip locked
    ) due
    where d.state = 'sending'
    limit $2
)
returning id;

-- name: mails -> mailer.outbox.Claimed
-- What waits in those batches. A letter to a new address is about the change, and void without one.
-- The limit is for the planner: it never reads a whole table for them.
with held as materialized (
    select b.id, exists (
               select from digest d
               join digest n on n.newsletter = d.newsletter and n.cadence = d.cadence
               where d.id = b.digest and n.issued > d.issued and n.state in ('sending', 'sent')
           ) as replaced
    from batch b
    where b.id = any ($1::bigint[])
)
select o.id, o.batch, o.kind, o.digest, o.edition, o.message, o.attempts, o.attested,
       now() - o.created_at as age, held.replaced,
       o.kind = 'address' and c.subscriber is null as void,
       o.subscription, s.newsletter, coalesce(c.language, s.language) as language, s.notice,
       coalesce(c.handle, s.handle) as handle, coalesce(c.asked_at, s.asked_at) as asked_at,
       p.id as subscriber, p.handle as subscriber_handle, k.dek,
       coalesce(c.address, p.address) as address
from (
    select * from outbox
    where batch = any ($1::bigint[]) and state = 'waiting'
    order by id
    limit 1000
) o
join held on held.id = o.batch
join subscription s on s.id = o.subscription
join subscriber p on p.id = s.subscriber
join subject k on k.id = p.id
left join address_change c on c.subscriber = p.id and o.kind = 'address'
order by o.id;

-- name: mails_to_staff -> mailer.outbox.ToStaff
-- Letters to staff that wait in those batches.
select o.id, o.batch, o.kind, o.message, o.attempts, now() - o.created_at as age, f.id as staff,
       f.language, k.dek, f.address
from outbox o
join staff f on f.id = o.staff
join subject k on k.id = f.id
where o.batch = any ($1::bigint[]) and o.state = 'waiting'
order by o.id;

-- name: turn_digests
-- Both sides of the wire in one round trip: what came back is settled, and what is to go is looked
-- at a last time. Thousands of mails a second go through here, so nothing is joined that the mails
-- of digests don't need.
--
-- Settled ($4 to $6): what was sent was sent, whoever holds it by now; said twice, it changes nothing.
--
-- Looked at ($2, $3): `wanted` of those that the worker holds and may send now.
with settled as (
    update outbox o
    set state = said.state, reply = said.reply, settled_at = now(),
        attempts = o.attempts + case said.state when 'dropped' then 0 else 1 end
    from unnest($4::bigint[], $5::text[], $6::text[]) as said (id, state, reply)
    where o.id = said.id
      and (o.state = 'waiting' or said.state = 'sent' and o.state <> 'sent')
)
select o.id,
       p.restricted_at is null
           and s.state = 'confirmed'
           and (s.paused_until is null or s.paused_until <= now())
           and not exists (select from suppression x where x.hash = asked.hash)
       as wanted
from unnest($2::bigint[], $3::bytea[]) as asked (id, hash)
join outbox o on o.id = asked.id and o.state = 'waiting'
join subscription s on s.id = o.subscription
join subscriber p on p.id = s.subscriber
where o.batch = any (array(
    select b.id from batch b join digest d on d.id = b.digest
    where b.worker = $1 and d.state = 'sending'
));

-- name: turn_letters
-- The same of letters. A confirmation is wanted while its subscription is pending; "is this your
-- new address?" while that is asked, unless too many have asked to have their mail there; everything
-- else while it is confirmed. A letter to staff is wanted while there is the account; suppressions
-- are about readers.
with settled as (
    update outbox o
    set state = said.state, reply = said.reply, settled_at = now(),
        attempts = o.attempts + case said.state when 'dropped' then 0 else 1 end
    from unnest($4::bigint[], $5::text[], $6::text[]) as said (id, state, reply)
    where o.id = said.id
      and (o.state = 'waiting' or said.state = 'sent' and o.state <> 'sent')
)
select o.id,
       case when o.staff is not null then f.disabled_at is null else
           p.restricted_at is null
           and case o.kind
                   when 'address' then c.expires_at > now() and c.confirmed_at is null and (
                       select count(*) <= 3 from address_change n
                       where n.lookup = c.lookup and n.asked_at > now() - interval '1 day'
                   )
                   when 'confirm' then s.state = 'pending'
                   else s.state = 'confirmed'
               end is true
           and not exists (select from suppression x where x.hash = asked.hash)
       end as wanted
from unnest($2::bigint[], $3::bytea[]) as asked (id, hash)
join outbox o on o.id = asked.id and o.state = 'waiting'
join batch b on b.id = o.batch and b.worker = $1
left join subscription s on s.id = o.subscription
left join subscriber p on p.id = s.subscriber
left join staff f on f.id = o.staff
left join address_change c on c.subscriber = p.id and o.kind = 'address'
where o.digest is null;

-- name: attest
update outbox set attested = true where id = $1;

-- name: drop_of
-- Whoever leaves: what is on the wire already is settled as what it becomes.
update outbox set state = 'dropped', settled_at = now()
where subscription = $1 and state = 'waiting';

-- name: drop_renewals
update outbox o set state = 'dropped', settled_at = now()
from subscription s
where o.subscription = s.id and s.newsletter = $1 and o.kind = 'renew' and o.state = 'waiting';

-- name: move
-- To a batch of their own, due after $4 or when provider $5 takes more; at the cost of $6 attempts.
-- Only what the worker still holds.
with held as materialized (
    select o.id, said.reply, b.behind
    from unnest($3::bigint[], $7::text[]) as said (id, reply)
    join outbox o on o.id = said.id and o.state = 'waiting'
    join batch b on b.id = o.batch and b.worker = $1
    for update of o
), made as (
    insert into batch (digest, mails, due_at, provider, behind)
    select $2, count(*), now() + $4::interval, $5, bool_and(behind) from held having count(*) > 0
    returning id
)
update outbox o
set batch = made.id, attempts = o.attempts + $6, reply = coalesce(held.reply, o.reply)
from made, held
where o.id = held.id;

-- name: end
-- Batches of which no mail waits; what became of them goes into the digest's totals.
with ended as (
    delete from batch b
    where b.id = any ($2::bigint[]) and b.worker = $1
      and not exists (select from outbox o where o.batch = b.id and o.state = 'waiting')
    returning b.id, b.digest
), counted as (
    select e.digest,
           count(*) filter (where o.state = 'sent') as sent,
           count(*) filter (where o.state = 'failed') as failed,
           count(*) filter (where o.state = 'dropped') as dropped
    from ended e
    join outbox o on o.batch = e.id
    where e.digest is not null
    group by e.digest
)
update digest d
set sent = d.sent + c.sent, failed = d.failed + c.failed, dropped = d.dropped + c.dropped
from counted c
where d.id = c.digest;

-- name: give_back
update batch set worker = null where id = any ($2::bigint[]) and worker = $1;

-- name: drop_cancelled
-- Batches of cancelled digests that nobody holds, so many at a time.
with ended as (
    delete from batch
    where id in (
        select b.id
        from digest d
        join batch b on b.digest = d.id
        where d.state = 'cancelled' and b.worker is null
        limit $1
        for update of b skip locked
    )
    returning id, digest
), counted as (
    select e.digest,
           count(*) filter (where o.state = 'sent') as sent,
           count(*) filter (where o.state = 'failed') as failed,
           count(*) filter (where o.state in ('dropped', 'waiting')) as dropped
    from ended e
    join outbox o on o.batch = e.id
    group by e.digest
), left_out as (
    update outbox o set state = 'dropped', settled_at = now()
    from ended e
    where o.batch = e.id and o.state = 'waiting'
)
update digest d
set sent = d.sent + c.sent, failed = d.failed + c.failed, dropped = d.dropped + c.dropped
from counted c
where d.id = c.digest;

-- name: progress
-- Of each of these digests. Ended batches are in its totals; of those nobody has touched, all mails
-- wait.
select d.id as digest,
       d.sent + o.sent as sent,
       d.failed + o.failed as failed,
       d.dropped + o.dropped as dropped,
       o.waiting + (select coalesce(sum(b.mails), 0)
                    from batch b
                    where b.digest = d.id and not b.touched) as waiting
from digest d
cross join lateral (
    select count(*) filter (where o.state = 'sent') as sent,
           count(*) filter (where o.state = 'failed') as failed,
           count(*) filter (where o.state = 'dropped') as dropped,
           count(*) filter (where o.state = 'waiting') as waiting
    from batch b
    join outbox o on o.batch = b.id
    where b.digest = d.id and b.touched
) o
where d.id = any ($1::integer[]);

-- name: forget_settled
-- Mails of letters and digests that were done with so many days ago; the digests keep their totals.
-- But not letters that a running renewal asks with: who never got one does not lapse.
with old as (
    (
        select o.id
        from digest d
        join outbox o on o.digest = d.id
        where d.finished_at < now() - make_interval(days => $1)
          and not exists (select from batch b where b.digest = d.id)
        limit $2
    )
    union all
    (
        select id from outbox
        where digest is null and state <> 'waiting'
          and created_at < now() - make_interval(days => $1)
          and settled_at < now() - make_interval(days => $1)
          and not exists (
              select from renewal_asked a
              join renewal r on r.id = a.renewal
              where outbox.kind = 'renew' and a.subscription = outbox.subscription
                and r.ended_at is null
          )
        limit $2
    )
    limit $2
), gone as (
    delete from outbox where id in (select id from old) returning 1
)
select count(*) from gone;

-- name: settled_due -> mailer.outbox.Due
-- How many of them there are, and when the next would be due.
with mail as (
    select coalesce(d.finished_at, case when o.digest is null then o.settled_at end) as done_at
    from outbox o
    left join digest d on d.id = o.digest
    where o.state <> 'waiting'
)
select count(*) filter (where done_at < now() - make_interval(days => $1)) as due,
       min(done_at) filter (where done_at >= now() - make_interval(days => $1))
           + make_interval(days => $1) as next
from mail;

-- name: beat
-- Whether the worker was itself silent before, or is new, or the clock was set back since.
with before as (
    select seen_at from worker where id = $1
), beaten as (
    insert into worker (id) values ($1) on conflict (id) do update set seen_at = now()
)
select coalesce((select seen_at not between now() - interval '8 seconds' and now() + interval '8 seconds'
                 from before), true);

-- name: bury_silent
-- Deleting a worker frees the batches it holds (on delete set null). One seen in the future was so
-- before the clock was set back: if it lives it says so again.
delete from worker
where seen_at < now() - interval '15 seconds' or seen_at > now() + interval '15 seconds';

-- name: bury
delete from worker where id = $1;

-- name: workers
select count(*) from worker where seen_at > now() - interval '8 seconds';

-- name: late
-- Letters that wait, retries included, for longer than $1.
select count(*)
from batch b
join outbox o on o.batch = b.id and o.state = 'waiting'
where b.digest is null and o.created_at < now() - $1::interval;

-- name: of_person -> mailer.outbox.Delivered
-- The latest mails to one person, as long as they are remembered.
select o.kind, n.slug as newsletter, d.number as digest, o.state, o.attempts, o.reply,
       coalesce(o.settled_at, o.created_at) as at
from outbox o
join subscription s on s.id = o.subscription
join newsletter n on n.id = s.newsletter
left join digest d on d.id = o.digest
where s.subscriber = $1
order by o.id desc
limit $2;
