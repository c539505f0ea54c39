-- name: put
-- A language is kept as the newsletter spells it where it has it, if need be without its region:
-- en-GB is en to a newsletter in en. What is the same is not written again: then no row comes back.
-- A feed changes only what it brought; who gives an article by hand takes it over from its feed,
-- and has decided on it.
insert into article as a
    (newsletter, feed, external_id, language, title, url, summary, published_at, work,
     image_url, image_alt, bundle_url, bundle_type, bundle_size, categories, related,
     withdrawn_at, known)
select n.id, $2, $3,
       coalesce(
           (select l from unnest(n.languages) l
            where lower(l) in (lower($4), split_part(lower($4), '-', 1))
            order by length(l) desc
            limit 1),
           $4,
           n.fallback),
       $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16,
       case when $17::boolean then now() end, $18
from newsletter n
where n.id = $1
on conflict (newsletter, external_id) do update
set feed = excluded.feed, language = excluded.language, title = excluded.title,
    url = excluded.url, summary = excluded.summary, published_at = excluded.published_at,
    work = excluded.work, image_url = excluded.image_url, image_alt = excluded.image_alt,
    bundle_url = excluded.bundle_url, bundle_type = excluded.bundle_type,
    bundle_size = excluded.bundle_size, categories = excluded.categories,
    related = excluded.related, revised_at = now(),
    held = a.held and excluded.feed is not null,
    withdrawn_at = case $17
        when true then coalesce(a.withdrawn_at, now())
        when false then null
        else a.withdrawn_at
    end
where (excluded.feed is null or excluded.feed = a.feed)
  and ((a.language, a.title, a.url, a.summary, a.published_at, a.work, a.image_url, a.image_alt,
        a.bundle_url, a.bundle_type, a.bundle_size, a.categories, a.related)
       is distinct from
       (excluded.language, excluded.title, excluded.url, excluded.summary, excluded.published_at,
        excluded.work, excluded.image_url, excluded.image_alt, excluded.bundle_url,
        excluded.bundle_type, excluded.bundle_size, excluded.categories, excluded.related)
       or $17 <> (a.withdrawn_at is not null))
returning id, feed, xmax = 0 as new;

-- name: standing
select id, feed from article where newsletter = $1 and external_id = $2;

-- name: take_over
update article set feed = null, held = false where id = $1;

-- name: revise
update article set revised_at = now() where id = $1;

-- name: attach
-- Its files become these, in this order; how many rows that changed.
with given as (
    select f.value, f.ordinality::integer as position
    from jsonb_array_elements($2::jsonb) with ordinality f
), gone as (
    delete from attachment
    where article = $1 and position > (select count(*) from given)
    returning 1
), kept as (
    insert into attachment as a (article, position, name, url, type, size, language)
    select $1, position, value ->> 'name', value ->> 'url', value ->> 'type',
           (value ->> 'size')::bigint, value ->> 'language'
    from given
    on conflict (article, position) do update
    set name = excluded.name, url = excluded.url, type = excluded.type, size = excluded.size,
        language = excluded.language
    where (a.name, a.url, a.type, a.size, a.language) is distinct from
          (excluded.name, excluded.url, excluded.type, excluded.size, excluded.language)
    returning 1
)
select (select count(*) from gone) + (select count(*) from kept);

-- name: attachments -> mailer.articles.Attachment
select article, position, name, url, type, size, language
from attachment
where article = any ($1::bigint[])
order by article, position;

-- name: among -> mailer.articles.Article
with latest as (
    select id from article where feed = $2 order by id desc limit $4
)
select id, newsletter, feed, external_id, language, title, url, summary, published_at, seen_at,
       known, work, image_url, image_alt, bundle_url, bundle_type, bundle_size, categories, related,
       revised_at, withdrawn_at, held
from article
where (newsletter = $1 and external_id = any ($3::text[])) or id in (select id from latest)
order by id;

-- name: listed -> mailer.articles.Article
-- Newest first; of one newsletter or all, with one external_id or any, from before an id on.
select id, newsletter, feed, external_id, language, title, url, summary, published_at, seen_at,
       known, work, image_url, image_alt, bundle_url, bundle_type, bundle_size, categories, related,
       revised_at, withdrawn_at, held
from article
where ($1::integer is null or newsletter = $1)
  and ($2::text is null or external_id = $2)
  and ($3::bigint is null or id < $3)
order by id desc
limit $4;

-- name: latest -> mailer.articles.Article
select id, newsletter, feed, external_id, language, title, url, summary, published_at, seen_at,
       known, work, image_url, image_alt, bundle_url, bundle_type, bundle_size, categories, related,
       revised_at, withdrawn_at, held
from article
where feed = $1
order by id desc
limit $2;

-- name: find -> mailer.articles.Article
select id, newsletter, feed, external_id, language, title, url, summary, published_at, seen_at,
       known, work, image_url, image_alt, bundle_url, bundle_type, bundle_size, categories, related,
       revised_at, withdrawn_at, held
from article
where id = $1;

-- name: withdraw
update article set withdrawn_at = now() where id = $1 and withdrawn_at is null;

-- name: translations
select a.id, o.language, o.id as other
from article a
join article o on o.newsletter = a.newsletter and o.work = a.work and o.id <> a.id
where a.id = any ($1::bigint[]) and o.withdrawn_at is null
order by a.id, o.language;

-- name: most_at_once
-- How many articles of a feed came with one fetch, of those that nobody had to decide on.
select coalesce(max(many), 0)
from (
    select count(*) as many
    from article
    where feed = $1 and not known and not held and seen_at > now() - interval '90 days'
    group by seen_at
) fetches;

-- name: hold
update article set held = true where id = any ($1::bigint[]);

-- name: held -> mailer.articles.Article
select id, newsletter, feed, external_id, language, title, url, summary, published_at, seen_at,
       known, work, image_url, image_alt, bundle_url, bundle_type, bundle_size, categories, related,
       revised_at, withdrawn_at, held
from article
where feed = $1 and held
order by id;

-- name: let_go
-- As news, or as if they had always been there.
with gone as (
    update article set held = false, known = $2 where feed = $1 and held returning 1
)
select count(*) from gone;
