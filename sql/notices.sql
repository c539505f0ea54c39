-- name: add -> mailer.notices.Notice
insert into notice (id, sha256, newsletter, language, wording, controller, purposes, recipients,
                    retention, withdrawal)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
on conflict do nothing
returning newsletter, language, wording, controller, purposes, recipients, retention, withdrawal,
          id, sha256, valid_from;

-- name: current -> mailer.notices.Notice
select newsletter, language, wording, controller, purposes, recipients, retention, withdrawal,
       id, sha256, valid_from
from notice
where (newsletter = $1 or newsletter is null) and language = $2 and valid_from <= now()
order by newsletter nulls last, valid_from desc
limit 1;

-- name: versions -> mailer.notices.Notice
-- Also those for all newsletters, which hold where there is none of its own.
select newsletter, language, wording, controller, purposes, recipients, retention, withdrawal,
       id, sha256, valid_from
from notice
where (newsletter = $1 or newsletter is null) and language = $2 and valid_from <= now()
order by valid_from desc, id;

-- name: count_behind
-- The notice a reader agreed to decides of which language the current one is theirs.
with newest as (
    select distinct on (language) language, id
    from notice
    where (newsletter = $1 or newsletter is null) and valid_from <= now()
    order by language, newsletter nulls last, valid_from desc
)
select count(*)
from subscription s
join notice agreed on agreed.id = s.notice
join newest on newest.language = agreed.language
where s.newsletter = $1 and s.state = 'confirmed' and newest.id <> s.notice;

-- name: find -> mailer.notices.Notice
select newsletter, language, wording, controller, purposes, recipients, retention, withdrawal,
       id, sha256, valid_from
from notice
where id = $1;

-- name: all -> mailer.notices.Notice
select newsletter, language, wording, controller, purposes, recipients, retention, withdrawal,
       id, sha256, valid_from
from notice
order by valid_from, id;

-- name: named -> mailer.notices.Notice
select newsletter, language, wording, controller, purposes, recipients, retention, withdrawal,
       id, sha256, valid_from
from notice
where id = any ($1::text[]);

-- name: standings -> mailer.notices.Standing
-- Current: the newest in its language for its newsletter, or of those for all newsletters.
select v.id, v.language, n.slug as newsletter, v.valid_from, v.wording,
       (count(*) filter (where s.state = 'pending'))::integer as pending,
       (count(*) filter (where s.state = 'confirmed'))::integer as confirmed,
       (count(*) filter (where s.state = 'left'))::integer as left,
       v.valid_from <= now() and not exists (
           select from notice later
           where later.language = v.language and later.newsletter is not distinct from v.newsletter
             and later.valid_from <= now() and later.valid_from > v.valid_from
       ) as current
from notice v
left join newsletter n on n.id = v.newsletter
left join subscription s on s.notice = v.id
where $1::text is null or v.id = $1
group by v.id, n.slug
order by v.valid_from, v.id;
