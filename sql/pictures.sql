-- name: want
-- Those of articles that may come into a digest, and are not known yet.
insert into picture (url)
select distinct a.image_url
from article a
join newsletter n on n.id = a.newsletter
where n.images and a.image_url is not null and a.withdrawn_at is null and not a.known
  and a.seen_at > now() - interval '30 days'
  and not exists (select from picture p where p.url = a.image_url)
on conflict do nothing;

-- name: claim
-- One to fetch; nobody else gets it for a while, and after so many attempts ($1) nobody does.
update picture set due_at = now() + interval '10 minutes', attempts = attempts + 1
where url = (
    select url from picture
    where data is null and attempts < $1 and due_at <= now()
    order by due_at
    limit 1
    for update skip locked
)
returning url;

-- name: keep
update picture
set sha256 = $2, type = $3, width = $4, height = $5, data = $6, problem = null
where url = $1;

-- name: fail
update picture set problem = $2 where url = $1 and data is null;

-- name: frames -> mailer.pictures.Frame
select url, sha256, width, height from picture where url = any ($1::text[]) and data is not null;

-- name: find -> mailer.pictures.Picture
select type, width, height, data from picture where sha256 = $1 limit 1;

-- name: unwanted
-- How many no mail shows, and no digest will.
select count(*) from picture p where not picture_wanted(p);

-- name: forget
delete from picture
where url in (select p.url from picture p where not picture_wanted(p) limit $1);
