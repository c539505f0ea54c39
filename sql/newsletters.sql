-- name: add -> mailer.newsletters.Newsletter
insert into newsletter (slug, titles, languages, fallback, cadences, timezone, archived)
values ($1, $2, $3, $4, $5, $6, $7)
returning id, slug, titles, languages, fallback, cadences, timezone, archived;

-- name: all -> mailer.newsletters.Newsletter
select id, slug, titles, languages, fallback, cadences, timezone, archived
from newsletter
order by slug;

-- name: find -> mailer.newsletters.Newsletter
select id, slug, titles, languages, fallback, cadences, timezone, archived
from newsletter
where slug = $1;

-- name: get -> mailer.newsletters.Newsletter
select id, slug, titles, languages, fallback, cadences, timezone, archived
from newsletter
where id = $1;
