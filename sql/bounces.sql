-- name: tell
insert into told (fingerprint) values ($1) on conflict do nothing returning true;

-- name: keep
insert into bounce (subscription, digest, mail, channel, kind, reason, status, report)
values ($1, $2, $3, $4, $5, $6, $7, $8)
returning id;

-- name: stray
insert into stray (channel, kind) values ($1, $2)
on conflict (day, channel, kind) do update set count = stray.count + 1;

-- name: mail_named -> mailer.bounces.Mail
-- The mail that a report names, if it went to this subscription.
select message, digest from outbox
where subscription = $1 and message = any ($2::uuid[])
order by id desc
limit 1;

-- name: mail_latest -> mailer.bounces.Mail
-- A report that names none is about the latest.
select message, digest from outbox
where subscription = $1 and state in ('sent', 'failed')
order by settled_at desc, id desc
limit 1;

-- name: strikes -> mailer.bounces.striking.Strike
-- What still counts against the address of a person: of one kind, neither forgiven nor undone.
-- A notice that somebody still tries is none.
select b.id, b.digest, b.created_at
from bounce b
join subscription s on s.id = b.subscription
where s.subscriber = $1 and b.kind = $2 and b.reason <> 'delayed'
  and b.forgiven_at is null and b.undone_at is null and b.act is null
order by b.created_at;

-- name: act
update bounce set act = $2, acted_at = now() where id = $1;

-- name: forgive
-- A mail that went out later and has not come back for $1 says that the address is good.
update bounce b
set forgiven_at = now()
from subscription s
where s.id = b.subscription and b.kind in ('hard', 'soft')
  and b.forgiven_at is null and b.undone_at is null and b.act is null
  and exists (
      select from subscription of_them
      join outbox o on o.subscription = of_them.id
      where of_them.subscriber = s.subscriber and o.state = 'sent'
        and o.settled_at > b.created_at and o.settled_at < now() - $1::interval
        and not exists (
            select from bounce c where c.mail = o.message and c.kind in ('hard', 'soft')
        )
  );

-- name: forget_of
-- The person has another address now: what was told of the earlier one says nothing.
delete from bounce where subscription in (select id from subscription where subscriber = $1);

-- name: get -> mailer.bounces.keeping.Kept
select id, subscription, digest, channel, kind, reason, status, report, act, acted_at, undone_at, created_at
from bounce where id = $1
for update;

-- name: latest -> mailer.bounces.Line
select b.id, b.created_at as at, n.slug as newsletter, d.number as digest, b.channel, b.kind,
       b.reason, b.status, b.act, b.forgiven_at is not null as forgiven, b.undone_by
from bounce b
join subscription s on s.id = b.subscription
join newsletter n on n.id = s.newsletter
left join digest d on d.id = b.digest
where ($1::uuid is null or s.subscriber = $1) and ($2::text is null or b.kind = $2)
order by b.created_at desc, b.id desc
limit $3;

-- name: undone
update bounce set undone_at = now(), undone_by = $2 where id = $1;

-- name: still_suppressing
-- Whether another report that nobody has undone keeps the person suppressed.
select exists (
    select from bounce b join subscription s on s.id = b.subscription
    where s.subscriber = $1 and b.act = 'suppressed' and b.undone_at is null and b.id <> $2
);

-- name: strays -> mailer.bounces.Stray
select day, channel, kind, count from stray where day > current_date - 30
order by day desc, channel, kind;

-- name: hold
-- In the order in which everybody locks subscriptions, so that nobody waits in a ring.
-- All that their people have: a bounce may end them all.
select id from subscription
where subscriber in (select subscriber from subscription where id = any ($1::bigint[]))
order by id
for update;

-- name: tally
-- Sorted, for the same reason.
insert into tally (digest, provider, what, count)
select digest, provider, what, count
from unnest($1::integer[], $2::text[], $3::text[], $4::integer[])
    as counted (digest, provider, what, count)
order by digest, provider, what
on conflict (digest, provider, what) do update set count = tally.count + excluded.count;

-- name: frozen
-- Whether a storm holds: one that was seen and not lifted, or one that can be seen. $3: reasons of
-- hard bounces; $4: how many make a storm at least; $5, $6: above which share, and how often the
-- usual share (of the twenty digests before, storms left out).
select coalesce(
    (select lifted_at is null from alarm where digest = $1 and provider = $2 and kind = 'storm'),
    (
        select hard >= $4::integer and hard > greatest($5::float8, $6::float8 * usual) * tried
        from (
            select coalesce(sum(count) filter (where what = any ($3::text[])), 0) as hard,
                   coalesce(sum(count) filter (where what in ('sent', 'refused')), 0) as tried
            from tally where digest = $1 and provider = $2
        ) now_, (
            select coalesce(
                sum(count) filter (where what = any ($3::text[]))::float8
                / nullif(sum(count) filter (where what in ('sent', 'refused')), 0), 0) as usual
            from tally t where provider = $2 and digest < $1 and digest >= $1 - 20
              and not exists (
                  select from alarm a
                  where a.digest = t.digest and a.provider = $2 and a.kind = 'storm'
                    and a.lifted_at is null
              )
        ) before_
    )
);

-- name: storms -> mailer.bounces.health.Storm
-- Storms that nobody has been told of. Parameters: as of `frozen`; $5: how far back.
select t.digest, t.provider, t.hard, t.tried
from (
    select t.digest, t.provider,
           coalesce(sum(count) filter (where what = any ($1::text[])), 0)::integer as hard,
           coalesce(sum(count) filter (where what in ('sent', 'refused')), 0)::integer as tried
    from tally t
    join digest d on d.id = t.digest and d.created_at > now() - $5::interval
    group by t.digest, t.provider
) t
cross join lateral (
    select coalesce(
        sum(count) filter (where what = any ($1::text[]))::float8
        / nullif(sum(count) filter (where what in ('sent', 'refused')), 0), 0) as usual
    from tally b
    where b.provider = t.provider and b.digest < t.digest and b.digest >= t.digest - 20
      and not exists (
          select from alarm a
          where a.digest = b.digest and a.provider = b.provider and a.kind = 'storm'
            and a.lifted_at is null
      )
) before_
where t.hard >= $2::integer and t.hard > greatest($3::float8, $4::float8 * usual) * t.tried
  and not exists (
      select from alarm a
      where a.digest = t.digest and a.provider = t.provider and a.kind = 'storm'
  )
order by t.digest, t.provider;

-- name: complained -> mailer.bounces.health.Complained
-- Digests with complaints above a share of what was sent, that nobody has been told of.
select t.digest, t.complaints, t.sent
from (
    select t.digest,
           coalesce(sum(count) filter (where what = 'complaint'), 0)::integer as complaints,
           coalesce(sum(count) filter (where what = 'sent'), 0)::integer as sent
    from tally t
    join digest d on d.id = t.digest and d.created_at > now() - $3::interval
    group by t.digest
) t
where t.complaints > 0 and t.complaints >= $1::float8 * t.sent
  and not exists (select from alarm a where a.digest = t.digest and a.kind = $2)
order by t.digest;

-- name: alarm
insert into alarm (digest, kind, provider, share) values ($1, $2, $3, $4) on conflict do nothing;

-- name: lift
update alarm set lifted_at = now(), lifted_by = $3
where digest = $1 and provider = $2 and lifted_at is null
returning true;

-- name: alarms -> mailer.bounces.health.Alarm
select a.digest as id, n.slug as newsletter, d.number as digest, a.kind, a.provider, a.share,
       a.created_at, a.lifted_at
from alarm a
join digest d on d.id = a.digest
join newsletter n on n.id = d.newsletter
where $1 or a.lifted_at is null
order by a.created_at desc;

-- name: suppressed_in -> mailer.bounces.striking.Acted
-- Who was suppressed for bounces of a digest; whose provider it was, their address tells.
select b.id, s.subscriber
from bounce b
join subscription s on s.id = b.subscription
where b.digest = $1 and b.act is not null and b.kind = 'hard' and b.undone_at is null
order by b.subscription;

-- name: fared -> mailer.bounces.health.Count
select n.slug as newsletter, d.number as digest, t.provider, t.what, t.count
from tally t
join digest d on d.id = t.digest
join newsletter n on n.id = d.newsletter
where ($1::text is null or n.slug = $1) and ($2::integer is null or d.number = $2)
  and d.id in (select distinct digest from tally order by digest desc limit 50)
order by d.id desc, t.provider, t.what;

-- name: probe
insert into probe (fingerprint) values ($1);

-- name: probe_returned
update probe set channel = coalesce(channel, $2), returned_at = coalesce(returned_at, now())
where fingerprint = any ($1::bytea[])
returning true;

-- name: probe_came_back -> mailer.bounces.loop.Returned
select channel, returned_at - sent_at as after
from probe
where fingerprint = $1 and returned_at is not null;
