-- name: lock_newsletter
-- Numbers are given, and articles chosen, by one at a time.
select id from newsletter where id = $1 for update;

-- name: create -> mailer.digests.Digest
insert into digest (newsletter, number, cadence, created_by)
select $1, coalesce(max(number), 0) + 1, $2, $3 from digest where newsletter = $1
returning id, newsletter, number, cadence, state, introduction, created_by, created_at,
          approved_by, approved_at, finished_at;

-- name: choose
-- What was published first comes first; by first sight, never by date.
with chosen as (
    insert into digest_article (digest, article, newsletter, cadence, position)
    select $1, a.id, $2, $3, row_number() over (order by a.id)
    from article a
    where a.newsletter = $2
      and not a.known
      and not a.held
      and a.withdrawn_at is null
      and not exists (
          select from digest_article l
          where l.newsletter = $2 and l.cadence = $3 and l.article = a.id
      )
    order by a.id
    limit $4
    returning 1
)
select count(*) from chosen;

-- name: find -> mailer.digests.Digest
select d.id, d.newsletter, d.number, d.cadence, d.state, d.introduction, d.created_by,
       d.created_at, d.approved_by, d.approved_at, d.finished_at
from digest d
join newsletter n on n.id = d.newsletter
where n.slug = $1 and d.number = $2;

-- name: get -> mailer.digests.Digest
select id, newsletter, number, cadence, state, introduction, created_by, created_at,
       approved_by, approved_at, finished_at
from digest
where id = $1;

-- name: listed -> mailer.digests.Digest
select d.id, d.newsletter, d.number, d.cadence, d.state, d.introduction, d.created_by,
       d.created_at, d.approved_by, d.approved_at, d.finished_at
from digest d
join newsletter n on n.id = d.newsletter
where $1::text is null or n.slug = $1
order by d.id desc;

-- name: contents -> mailer.articles.Article
select a.id, a.newsletter, a.feed, a.external_id, a.language, a.title, a.url, a.summary,
       a.published_at, a.seen_at, a.known, a.work, a.image_url, a.image_alt, a.bundle_url,
       a.bundle_type, a.bundle_size, a.categories, a.related, a.revised_at, a.withdrawn_at, a.held
from digest_article l
join article a on a.id = l.article
where l.digest = $1
order by l.position;

-- name: count_articles
select count(*) from digest_article where digest = $1;

-- name: introduce
update digest set introduction = $2 where id = $1 and state = 'draft' returning true;

-- name: approve
update digest set state = 'sending', approved_by = $2, approved_at = now()
where id = $1 and state = 'draft'
returning true;

-- name: freeze
insert into edition (digest, language, subject, html, text) values ($1, $2, $3, $4, $5);

-- name: edition -> mailer.digests.Edition
select digest, language, subject, html, text from edition where digest = $1 and language = $2;

-- name: editions -> mailer.digests.Edition
select digest, language, subject, html, text from edition where digest = $1 order by language;

-- name: pause
update digest set state = 'paused' where id = $1 and state = 'sending' returning true;

-- name: resume
update digest set state = 'sending' where id = $1 and state = 'paused' returning true;

-- name: cancel
update digest set state = 'cancelled', finished_at = now()
where id = $1 and state in ('draft', 'sending', 'paused')
returning true;

-- name: give_back
delete from digest_article where digest = $1;

-- name: finish_done
update digest d set state = 'sent', finished_at = now()
where d.state = 'sending'
  and not exists (select from batch b where b.digest = d.id)
returning d.id;
