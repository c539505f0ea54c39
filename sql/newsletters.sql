-- name: add -> mailer.newsletters.Newsletter
insert into newsletter (slug, titles, languages, fallback, cadences, timezone, archived)
values ($1, $2, $3, $4, $5, $6, $7)
returning id, slug, titles, languages, fallback, cadences, timezone, archived, untranslated,
          approval, images, fewest, most, created_at;

-- name: all -> mailer.newsletters.Newsletter
select id, slug, titles, languages, fallback, cadences, timezone, archived, untranslated,
       approval, images, fewest, most, created_at
from newsletter
order by slug;

-- name: find -> mailer.newsletters.Newsletter
select id, slug, titles, languages, fallback, cadences, timezone, archived, untranslated,
       approval, images, fewest, most, created_at
from newsletter
where slug = $1;

-- name: get -> mailer.newsletters.Newsletter
select id, slug, titles, languages, fallback, cadences, timezone, archived, untranslated,
       approval, images, fewest, most, created_at
from newsletter
where id = $1;

-- name: change -> mailer.newsletters.Newsletter
update newsletter
set titles = $2, languages = $3, fallback = $4, cadences = $5, timezone = $6, archived = $7,
    untranslated = $8, approval = $9, images = $10, fewest = $11, most = $12
where id = $1
returning id, slug, titles, languages, fallback, cadences, timezone, archived, untranslated,
          approval, images, fewest, most, created_at;

-- name: held
-- Readers whose language or cadence is not among these (a language that was never offered counts
-- as the fallback's).
select count(*)
from subscription s
join newsletter n on n.id = s.newsletter
where s.newsletter = $1
  and s.state <> 'left'
  and (s.cadence <> all ($3::text[])
       or (s.language = any (n.languages) and s.language <> all ($2::text[])));

-- name: take_over
-- A cadence that begins now: what any other has had is behind it.
insert into digest_article (digest, article, newsletter, cadence, position, shown_in)
select distinct on (l.article) l.digest, l.article, l.newsletter, $2, null::integer, l.shown_in
from digest_article l
join digest d on d.id = l.digest
where l.newsletter = $1 and d.issued is not null
order by l.article, d.issued
on conflict do nothing;
