-- name: add -> mailer.feeds.Feed
insert into feed (newsletter, url, language, id_host) values ($1, $2, $3, $4)
on conflict (newsletter, url) do nothing
returning id, newsletter, url, title, language, etag, last_modified, polled_at, due_at, failures,
          problem, gone, created_at, id_host;

-- name: all -> mailer.feeds.Standing
-- `rhythm`: the mean time between its latest articles, by their dates where they have one.
select f.id, f.newsletter, f.url, f.title, f.language, f.etag, f.last_modified, f.polled_at,
       f.due_at, f.failures, f.problem, f.gone, f.created_at, f.id_host,
       (select count(*) from article a where a.feed = f.id and a.held) as held,
       now() - coalesce(f.polled_at, f.created_at) as stale,
       now() - coalesce(latest.at, f.created_at) as quiet,
       latest.rhythm
from feed f
join newsletter n on n.id = f.newsletter
cross join lateral (
    select max(t.at) as at, (max(t.at) - min(t.at)) / nullif(count(*) - 1, 0) as rhythm
    from (
        select least(a.published_at, a.seen_at) as at
        from article a
        where a.feed = f.id
        order by a.id desc
        limit 20
    ) t
) latest
where $1::text is null or n.slug = $1
order by f.id;

-- name: find -> mailer.feeds.Feed
select id, newsletter, url, title, language, etag, last_modified, polled_at, due_at, failures,
       problem, gone, created_at, id_host
from feed
where id = $1;

-- name: hasten
update feed set due_at = now(), gone = false where id = $1;

-- name: remove
delete from feed where id = $1;

-- name: due -> mailer.feeds.Feed
-- The lease: not due again until it ends; `skip locked`: workers never wait for each other.
update feed set due_at = now() + $2::interval
where id in (
    select id from feed
    where not gone and due_at <= now()
    order by due_at
    limit $1
    for update skip locked
)
returning id, newsletter, url, title, language, etag, last_modified, polled_at, due_at, failures,
          problem, gone, created_at, id_host;

-- name: lock -> mailer.feeds.Feed
-- Two fetches of one feed are stored one after the other.
select id, newsletter, url, title, language, etag, last_modified, polled_at, due_at, failures,
       problem, gone, created_at, id_host
from feed
where id = $1
for update;

-- name: read
-- Up to a tenth later than asked, so that feeds added together drift apart. An address that another
-- feed of the newsletter has already is not taken over.
update feed f
set title = coalesce($2, f.title), language = coalesce(f.language, $3), etag = $4,
    last_modified = $5, polled_at = now(), pause = $7,
    due_at = feed_open(now() + $7::interval * (1 + random() / 10), $8, $9),
    skip_hours = $8, skip_days = $9, failures = 0, problem = null, gone = false,
    url = case
        when exists (select from feed o where o.newsletter = f.newsletter and o.url = $6) then f.url
        else coalesce($6, f.url)
    end
where f.id = $1;

-- name: unchanged
update feed f
set polled_at = now(), failures = 0, problem = null, gone = false,
    due_at = feed_open(now() + coalesce(f.pause, $3::interval) * (1 + random() / 10),
                       f.skip_hours, f.skip_days),
    url = case
        when exists (select from feed o where o.newsletter = f.newsletter and o.url = $2) then f.url
        else coalesce($2, f.url)
    end
where f.id = $1;

-- name: failed
-- Twice as long after each failure, from what the server asked for up to a day.
update feed
set failures = failures + 1, problem = $2,
    due_at = feed_open(now() + least($3::interval * 2 ^ least(failures, 10), $4::interval)
                               * (1 + random() / 10), skip_hours, skip_days)
where id = $1;

-- name: gone
update feed
set gone = true, failures = failures + 1,
    problem = 'Its server says that this feed is gone for good: remove it, or add its new address.'
where id = $1;
