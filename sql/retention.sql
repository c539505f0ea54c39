-- name: requests_due -> mailer.retention.Due
select count(*) filter (where created_at <= now() - $1::interval) as due,
       count(*) filter (where created_at > now() - $1::interval) as later,
       min(created_at) filter (where created_at > now() - $1::interval) + $1::interval as next
from request;

-- name: forget_requests
with gone as (
    delete from request
    where id in (
        select id from request where created_at <= now() - $1::interval
        limit $2
        for update skip locked
    )
    returning 1
)
select count(*) from gone;

-- name: unconfirmed_due -> mailer.retention.Due
select count(*) filter (where s.expires_at <= now()) as due,
       count(*) filter (where s.expires_at > now()) as later,
       min(s.expires_at) filter (where s.expires_at > now()) as next
from subscription s
join subscriber p on p.id = s.subscriber
where s.state = 'pending' and p.restricted_at is null;

-- name: unconfirmed -> mailer.subscriptions.rows.Subscription
select s.id, s.subscriber, s.newsletter, s.state, s.language, s.cadence, s.notice, s.handle,
       s.asked_at, s.mailed_at, s.unanswered, s.expires_at, true as expired, s.confirmed_at,
       s.left_at, s.told_why,
       case when s.paused_until > now() then s.paused_until end as paused_until
from subscription s
join subscriber p on p.id = s.subscriber
where s.state = 'pending' and s.expires_at <= now() and p.restricted_at is null
order by s.expires_at
limit $1
for update of s skip locked;

-- name: addresses_due -> mailer.retention.Due
select count(*) filter (where c.expires_at <= now()) as due,
       count(*) filter (where c.expires_at > now()) as later,
       min(c.expires_at) filter (where c.expires_at > now()) as next
from address_change c
join subscriber p on p.id = c.subscriber
where p.restricted_at is null;

-- name: forget_addresses
with gone as (
    delete from address_change
    where subscriber in (
        select c.subscriber
        from address_change c
        join subscriber p on p.id = c.subscriber
        where c.expires_at <= now() and p.restricted_at is null
        limit $1
        for update of c skip locked
    )
    returning 1
)
select count(*) from gone;

-- name: withdrawn_due -> mailer.retention.Due
with person as (
    select max(s.left_at) + $1::interval as at
    from subscription s
    join subscriber p on p.id = s.subscriber
    where p.restricted_at is null
    group by s.subscriber
    having bool_and(s.state = 'left')
)
select count(*) filter (where at <= now()) as due,
       count(*) filter (where at > now()) as later,
       min(at) filter (where at > now()) as next
from person;

-- name: withdrawn
select distinct s.subscriber
from subscription s
join subscriber p on p.id = s.subscriber
where s.state = 'left' and s.left_at <= now() - $1::interval and p.restricted_at is null
  and not exists (
      select from subscription o
      where o.subscriber = s.subscriber
        and (o.state <> 'left' or o.left_at > now() - $1::interval)
  )
limit $2;

-- name: lock_withdrawn
-- All of the person's subscriptions, without waiting for any; and whether it is still so.
with locked as (
    select state, left_at from subscription
    where subscriber = $1
    for update skip locked
)
select count(*) = (select count(*) from subscription where subscriber = $1)
       and coalesce(bool_and(state = 'left' and left_at <= now() - $2::interval), false)
from locked;

-- name: answered_due -> mailer.retention.Due
select count(*) filter (where r.closed_at <= now() - $1::interval) as due,
       count(*) filter (where r.closed_at > now() - $1::interval) as later,
       min(r.closed_at) filter (where r.closed_at > now() - $1::interval) + $1::interval as next
from subject_request r
left join subscriber p on p.id = r.subject
where r.closed_at is not null and p.restricted_at is null;

-- name: forget_answered
-- Whoever was on no list goes along with the request: nothing was ever recorded of them.
with old as (
    select r.id
    from subject_request r
    where r.closed_at <= now() - $1::interval
      and not exists (
          select from subscriber p where p.id = r.subject and p.restricted_at is not null
      )
    limit $2
    for update of r skip locked
), gone as (
    delete from subject_request where id in (select id from old) returning subject
), unknown as (
    delete from subject s using gone where s.id = gone.subject and s.seq = 0
)
select count(*) from gone;

-- name: in_vain_due -> mailer.retention.Due
select count(*) filter (where latest <= now() - $1::interval) as due,
       count(*) filter (where latest > now() - $1::interval) as later,
       min(latest) filter (where latest > now() - $1::interval) + $1::interval as next
from asked_in_vain;

-- name: forget_in_vain
with gone as (
    delete from asked_in_vain
    where (hash, newsletter) in (
        select hash, newsletter from asked_in_vain where latest <= now() - $1::interval
        limit $2
        for update skip locked
    )
    returning 1
)
select count(*) from gone;

-- name: forget_spent
-- A puzzle that has expired can't be shown again.
delete from spent where expires_at < now();

-- name: counts_due -> mailer.retention.Due
select count(*) filter (where window_start < now() - interval '1 day') as due,
       count(*) filter (where window_start >= now() - interval '1 day') as later,
       min(window_start) filter (where window_start >= now() - interval '1 day')
           + interval '1 day' as next
from hit;

-- name: reports_due -> mailer.retention.Due
select count(*) filter (where b.created_at <= now() - $1::interval) as due,
       count(*) filter (where b.created_at > now() - $1::interval) as later,
       min(b.created_at) filter (where b.created_at > now() - $1::interval) + $1::interval as next
from bounce b
join subscription s on s.id = b.subscription
join subscriber p on p.id = s.subscriber
where b.report is not null and p.restricted_at is null;

-- name: forget_reports
-- Of what came back, the words that were said.
with old as (
    select b.id
    from bounce b
    join subscription s on s.id = b.subscription
    join subscriber p on p.id = s.subscriber
    where b.report is not null and b.created_at <= now() - $1::interval and p.restricted_at is null
    limit $2
    for update of b skip locked
), gone as (
    update bounce set report = null where id in (select id from old) returning 1
)
select count(*) from gone;

-- name: bounces_due -> mailer.retention.Due
select count(*) filter (where b.created_at <= now() - $1::interval) as due,
       count(*) filter (where b.created_at > now() - $1::interval) as later,
       min(b.created_at) filter (where b.created_at > now() - $1::interval) + $1::interval as next
from bounce b
join subscription s on s.id = b.subscription
join subscriber p on p.id = s.subscriber
where p.restricted_at is null;

-- name: forget_bounces
with old as (
    select b.id
    from bounce b
    join subscription s on s.id = b.subscription
    join subscriber p on p.id = s.subscriber
    where b.created_at <= now() - $1::interval and p.restricted_at is null
    limit $2
    for update of b skip locked
), gone as (
    delete from bounce where id in (select id from old) returning 1
)
select count(*) from gone;

-- name: told_due -> mailer.retention.Due
select count(*) filter (where at <= now() - $1::interval) as due,
       count(*) filter (where at > now() - $1::interval) as later,
       min(at) filter (where at > now() - $1::interval) + $1::interval as next
from told;

-- name: forget_told
with gone as (
    delete from told where fingerprint in (
        select fingerprint from told where at <= now() - $1::interval limit $2
        for update skip locked
    )
    returning 1
)
select count(*) from gone;

-- name: forget_strays
-- Numbers by day and kind, of nobody.
delete from stray where day < current_date - $1::interval;

-- name: forget_probes
-- Mails to the bounce domain, of nobody.
delete from probe where sent_at < now() - interval '1 day';
