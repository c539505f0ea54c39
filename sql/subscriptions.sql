-- name: request
insert into request (id, dek, payload) values ($1, $2, $3);

-- name: take_requests -> mailer.subscriptions.Request
delete from request
where id in (
    select id from request order by created_at limit $1 for update skip locked
)
returning id, dek, payload, created_at;

-- name: place
insert into subscription
    (subscriber, newsletter, state, language, cadence, notice, handle, expires_at)
values ($1, $2, 'pending', $3, $4, $5, $6, now() + $7::interval)
on conflict (subscriber, newsletter) do nothing;

-- name: placed -> mailer.subscriptions.Subscription
select id, subscriber, newsletter, state, language, cadence, notice, handle, asked_at, mailed_at,
       unanswered, expires_at, expires_at <= now() as expired, confirmed_at, left_at, paused_until
from subscription
where subscriber = $1 and newsletter = $2
for update;

-- name: lock -> mailer.subscriptions.Subscription
select id, subscriber, newsletter, state, language, cadence, notice, handle, asked_at, mailed_at,
       unanswered, expires_at, expires_at <= now() as expired, confirmed_at, left_at, paused_until
from subscription
where id = $1
for update;

-- name: by_handle -> mailer.subscriptions.Subscription
select id, subscriber, newsletter, state, language, cadence, notice, handle, asked_at, mailed_at,
       unanswered, expires_at, expires_at <= now() as expired, confirmed_at, left_at, paused_until
from subscription
where handle = $1;

-- name: of_subscriber -> mailer.subscriptions.Subscription
select id, subscriber, newsletter, state, language, cadence, notice, handle, asked_at, mailed_at,
       unanswered, expires_at, expires_at <= now() as expired, confirmed_at, left_at, paused_until
from subscription
where subscriber = $1
order by id;

-- name: standing
select state from subscription where subscriber = $1 and newsletter = $2;

-- name: is_recent
select $1::timestamptz > now() - $2::interval;

-- name: mailed_lately
select count(*) from subscription
where subscriber = $1 and mailed_at > now() - $2::interval;

-- name: ask
-- A new asking begins (and earlier links end) unless a mailed link of the same words still holds.
update subscription
set state = 'pending', notice = $2, language = $3, cadence = $4,
    asked_at = case when state = 'pending' and mailed_at is not null and expires_at > now()
                         and notice = $2 then asked_at else now() end,
    expires_at = now() + $5::interval, mailed_at = now(), unanswered = unanswered + 1
where id = $1;

-- name: told
update subscription set mailed_at = now() where id = $1;

-- name: seconds_since_mailed
select extract(epoch from now() - mailed_at)::integer from subscription where id = $1;

-- name: confirm
-- The person answered: the caps on asking begin anew.
update subscription
set state = 'confirmed', confirmed_at = now(), mailed_at = null, unanswered = 0, entered = null
where id = $1;

-- name: forget_bookmarks
-- Whoever comes back begins anew, like everybody who comes.
delete from bookmark where subscription = $1;

-- name: hold_newsletter
-- No digest of it begins while a reader changes what they get. Before the reader's own row is
-- locked: who begins a digest comes to the readers last.
select from newsletter where id = $1 for share;

-- name: bookmark
-- At the first change: all that began so far is behind them.
insert into bookmark (subscription, cadence, language, issued)
select s.id, s.cadence, case when s.language = any (n.languages) then s.language else n.fallback end,
       coalesce((select max(issued) from digest where newsletter = n.id), 0)
from subscription s
join newsletter n on n.id = s.newsletter
where s.id = $1 and s.state = 'confirmed' and s.entered is null;
-- name: renew
update subscription set notice = $2, mailed_at = null where id = $1;

-- name: speak
-- The language of the letters that are not about one newsletter.
update subscriber set language = $2 where id = $1;

-- name: leave
update subscription set state = 'left', left_at = now() where id = $1;

-- name: restore
update subscription set state = 'confirmed', left_at = null where id = $1;

-- name: fall_back
-- Who left, was asked again and did not answer left when they left.
update subscription
set state = 'left', left_at = case when state = 'pending' then left_at else now() end
where id = $1;

-- name: remove
delete from subscription where id = $1;

-- name: remove_unasked
delete from subscription where id = $1 and state = 'pending' and unanswered = 0;

-- name: change
update subscription s
set language = $2, cadence = $3,
    entered = case when s.state = 'confirmed' then
        coalesce((select max(issued) from digest where newsletter = s.newsletter), 0) end
where s.id = $1;

-- name: counts -> mailer.subscriptions.Count
select n.slug as newsletter, s.language, s.state, count(*)::integer as count
from subscription s
join newsletter n on n.id = s.newsletter
group by n.slug, s.language, s.state
order by n.slug, s.language, s.state;

-- name: listing -> mailer.subscriptions.ListedRow
select s.subscriber as subject_id, n.slug as newsletter, s.state, s.language, s.cadence,
       s.confirmed_at, s.left_at,
       case when s.state = 'confirmed' then 'as the consent record says' end as agreed_how,
       case when s.state = 'confirmed'
            then 'sha256:' || encode(w.sha256, 'hex') end as agreed_words,
       case when s.state = 'confirmed'
            then (select origin from house) || ' ' || s.subscriber end as agreed_source,
       k.dek, p.address
from subscription s
join newsletter n on n.id = s.newsletter
join notice w on w.id = s.notice
join subscriber p on p.id = s.subscriber
join subject k on k.id = p.id
where ($1::text is null or n.slug = $1)
  and ($2::text is null or s.state = $2)
  and ($3::text is null or s.language = $3)
  and ($4::timestamptz is null or s.created_at >= $4)
order by s.id;
