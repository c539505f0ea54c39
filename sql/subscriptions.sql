-- name: request
insert into request (id, dek, payload) values ($1, $2, $3);

-- name: leave_requests -> mailer.subscriptions.requests.Kept
-- Forms that came together, in one transaction that is this statement. Counted by network in the
-- present window of $9 seconds and, as much of it as still counts, the one before; the counts are
-- written in the order of their keys, so that processes never wait for each other in a ring. More
-- than $11 of a network are not kept; more than $12 where a puzzle was solved, which nobody has shown
-- before. Up to $10 are nothing unusual.
with form as materialized (
    select f.*,
           row_number() over (partition by network order by n) as nth,
           count(*) over (partition by network) as together,
           puzzle is not null and row_number() over (partition by puzzle order by n) = 1 as first,
           to_timestamp(floor(extract(epoch from now()) / $9::integer) * $9::integer) as begins
    from unnest($1::uuid[], $2::bytea[], $3::bytea[], $4::bytea[], $5::bytea[], $6::boolean[],
                $7::boolean[], $8::bytea[])
         with ordinality as f (id, dek, payload, network, puzzle, doubtful, ordinary, posed, n)
), counted as (
    insert into hit as h (key, window_start, count)
    select network, begins, count(*) from form group by network, begins order by network
    on conflict (key, window_start) do update set count = h.count + excluded.count
    returning key, count
), solved as (
    insert into spent (hash, expires_at)
    select puzzle, now() + $13::interval from form where first order by puzzle
    on conflict do nothing
    returning hash
), weighed as materialized (
    select form.*, coalesce(first and puzzle in (select hash from solved), false) as proven,
           counted.count - together + nth as present,
           extract(epoch from now() - begins)::float as elapsed,
           coalesce((select count from hit
                     where key = network and window_start = begins - make_interval(secs => $9)), 0)
               as before
    from form
    join counted on counted.key = form.network
), judged as materialized (
    select *, present + before * (1 - elapsed / $9) as weight from weighed
), kept as (
    insert into request (id, dek, payload, proven, slow, weight, ordinary, posed)
    select id, dek, payload, proven, not proven and doubtful, weight,
           ordinary and weight <= $10::integer, posed
    from judged
    where weight <= case when proven then $12::integer else $11::integer end
    returning id, slow
), woken as (
    select pg_notify($14, 'request') where exists (select from kept where not slow)
)
select kept.id is not null as kept, present::integer, elapsed, before::integer
from judged
left join kept on kept.id = judged.id
left join woken on true
order by n;

-- name: solve
insert into spent (hash, expires_at, late) values ($1, now() + $2::interval, true)
on conflict do nothing;

-- name: promote
with late as (
    update spent set late = false where late returning hash
)
update request r set proven = true, slow = false from late where r.posed = late.hash and r.slow;

-- name: prompt_requests -> mailer.subscriptions.requests.Request
select id, dek, payload, created_at, proven, ordinary from request
where not slow
order by proven desc, weight, created_at
limit $1;

-- name: take_requests -> mailer.subscriptions.requests.Request
select id, dek, payload, created_at, proven, ordinary from request
where not slow and ($2::uuid[] is null or id = any ($2))
order by proven desc, weight, created_at
limit $1
for update skip locked;

-- name: slow_requests -> mailer.subscriptions.requests.Request
-- If it is time for one.
select id, dek, payload, created_at, proven, ordinary from request
where slow and not exists (select from pace where name = $1 and at > now())
order by ordinary desc, weight, created_at
limit $2;

-- name: take_turn
insert into pace (name, at) values ($1, now() + $2::interval)
on conflict (name) do update set at = excluded.at where pace.at <= now()
returning true;

-- name: give_turn_back
update pace set at = now() where name = $1;

-- name: take_slow -> mailer.subscriptions.requests.Request
select id, dek, payload, created_at, proven, ordinary from request
where id = $1 and slow
for update skip locked;

-- name: asked_lately
select p.lookup, n.slug
from subscriber p
join subscription s on s.subscriber = p.id
join newsletter n on n.id = s.newsletter
where p.lookup = any ($1::bytea[]) and s.mailed_at > now() - $2::interval;

-- name: brake
update request set slow = true where id = any ($1::uuid[]);

-- name: slow_down
-- They are of those that are too many for a domain.
update request set slow = true, ordinary = false where id = any ($1::uuid[]);

-- name: drop_requests
delete from request where id = any ($1::uuid[]);

-- name: place
insert into subscription
    (subscriber, newsletter, state, language, cadence, notice, handle, expires_at)
values ($1, $2, 'pending', $3, $4, $5, $6, now() + $7::interval)
on conflict (subscriber, newsletter) do nothing;

-- name: placed -> mailer.subscriptions.rows.Subscription
select id, subscriber, newsletter, state, language, cadence, notice, handle, asked_at, mailed_at,
       unanswered, expires_at, expires_at <= now() as expired, confirmed_at, left_at, told_why,
       case when paused_until > now() then paused_until end as paused_until
from subscription
where subscriber = $1 and newsletter = $2
for update;

-- name: lock -> mailer.subscriptions.rows.Subscription
select id, subscriber, newsletter, state, language, cadence, notice, handle, asked_at, mailed_at,
       unanswered, expires_at, expires_at <= now() as expired, confirmed_at, left_at, told_why,
       case when paused_until > now() then paused_until end as paused_until
from subscription
where id = $1
for update;

-- name: by_handle -> mailer.subscriptions.rows.Subscription
select id, subscriber, newsletter, state, language, cadence, notice, handle, asked_at, mailed_at,
       unanswered, expires_at, expires_at <= now() as expired, confirmed_at, left_at, told_why,
       case when paused_until > now() then paused_until end as paused_until
from subscription
where handle = $1;

-- name: of_subscriber -> mailer.subscriptions.rows.Subscription
select id, subscriber, newsletter, state, language, cadence, notice, handle, asked_at, mailed_at,
       unanswered, expires_at, expires_at <= now() as expired, confirmed_at, left_at, told_why,
       case when paused_until > now() then paused_until end as paused_until
from subscription
where subscriber = $1
order by id;

-- name: may_mail
-- Mails about newsletter $1 and about all of them, to each person ($2; null: not known) or, before
-- they were forgotten, to the same address ($3).
select count(m.latest) filter (where m.latest > now() - $4::interval and m.newsletter = $1) = 0
   and coalesce(sum(m.times) filter (where m.newsletter = $1), 0) < $5::integer
   and count(m.latest) filter (where m.latest > now() - $4::interval) < $7::integer as decent
from unnest($2::uuid[], $3::bytea[]) with ordinality as asked (subscriber, hash, n)
left join lateral (
    select newsletter, times, latest from asked_in_vain v where v.hash = asked.hash
    union all
    select newsletter, unanswered, mailed_at from subscription s where s.subscriber = asked.subscriber
) m on m.latest > now() - $6::interval
group by n
order by n;

-- name: standings -> mailer.subscriptions.bringing.Standing
select p.lookup, p.id as subscriber, k.dek, p.restricted_at is not null as restricted, s.state
from subscriber p
join subject k on k.id = p.id
left join subscription s on s.subscriber = p.id and s.newsletter = $1
where p.lookup = any ($2::bytea[]);

-- name: bring
insert into subscription
    (subscriber, newsletter, language, cadence, notice, handle, expires_at,
     state, confirmed_at, mailed_at, unanswered)
select subscriber, $1, language, cadence, notice, handle, now() + $2::interval,
       case when agreed then 'confirmed' else 'pending' end, case when agreed then now() end,
       case when not agreed then now() end, case when agreed then 0 else 1 end
from unnest($3::uuid[], $4::text[], $5::text[], $6::text[], $7::integer[], $8::boolean[])
     as brought (subscriber, language, cadence, notice, handle, agreed)
on conflict (subscriber, newsletter) do nothing
returning id, subscriber;

-- name: remember
insert into asked_in_vain as v (hash, newsletter, times, latest)
select $1, newsletter, unanswered, mailed_at from subscription
where id = $2 and unanswered > 0 and mailed_at is not null
on conflict (hash, newsletter) do update
set times = v.times + excluded.times, latest = greatest(v.latest, excluded.latest);

-- name: forget_in_vain
delete from asked_in_vain where hash = $1 and newsletter = $2;

-- name: ask
-- A new asking begins (and earlier links end) unless a mailed link of the same words still holds.
update subscription
set state = 'pending', notice = $2, language = $3, cadence = $4,
    asked_at = case when state = 'pending' and mailed_at is not null and expires_at > now()
                         and notice = $2 then asked_at else now() end,
    expires_at = now() + $5::interval, mailed_at = now(), unanswered = unanswered + 1
where id = $1;

-- name: told
update subscription set mailed_at = now(), unanswered = unanswered + 1 where id = $1;

-- name: seconds_since_mailed
select extract(epoch from now() - mailed_at)::integer from subscription where id = $1;

-- name: confirm
-- The person answered: the caps on asking begin anew.
update subscription
set state = 'confirmed', confirmed_at = now(), mailed_at = null, unanswered = 0, entered = null,
    paused_until = null
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
-- They answered: whoever wants to come back can be asked anew.
update subscription set state = 'left', left_at = now(), unanswered = 0, told_why = false
where id = $1;

-- name: tell_why
-- Once each time they leave.
with told as (
    update subscription set told_why = true
    where id = $1 and state = 'left' and not told_why
    returning newsletter
)
insert into leaving (newsletter, reason, count) select newsletter, $2, 1 from told
on conflict (newsletter, reason) do update set count = leaving.count + 1;

-- name: reasons -> mailer.subscriptions.listing.Reason
select reason, count from leaving where newsletter = $1 order by count desc, reason;

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

-- name: pausable -> mailer.subscriptions.Days
select id as newsletter, today + 1 as first, today + $1::integer as last
from (select id, (now() at time zone timezone)::date as today from newsletter) n;

-- name: pause
-- Until that day begins where the newsletter is at home.
update subscription s
set paused_until = $2::date::timestamp at time zone n.timezone
from newsletter n
where s.id = $1 and n.id = s.newsletter and s.state = 'confirmed'
  and $2::date::timestamp at time zone n.timezone > now()
  and $2::date <= (now() at time zone n.timezone)::date + $3::integer
returning s.paused_until;

-- name: go_on
update subscription set paused_until = null where id = $1;

-- name: counts -> mailer.subscriptions.listing.Count
select n.slug as newsletter, s.language, s.state, count(*)::integer as count
from subscription s
join newsletter n on n.id = s.newsletter
group by n.slug, s.language, s.state
order by n.slug, s.language, s.state;

-- name: how_many
select count(*)
from subscription s
join newsletter n on n.id = s.newsletter
where ($1::text is null or n.slug = $1)
  and ($2::text is null or s.state = $2)
  and ($3::text is null or s.language = $3)
  and ($4::timestamptz is null or s.created_at >= $4);

-- name: listing -> mailer.subscriptions.listing.ListedRow
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
