-- name: lock_newsletter
-- Numbers are given, articles chosen and digests begun by one at a time, and no reader changes their
-- cadence meanwhile. Not `for update`: people may subscribe.
select id from newsletter where id = $1 for no key update;

-- name: create -> mailer.digests.Digest
insert into digest (newsletter, number, cadence, created_by)
select $1, coalesce(max(number), 0) + 1, $2, $3 from digest where newsletter = $1
returning id, newsletter, number, cadence, state, introduction, created_by, created_at,
          approved_by, approved_at, finished_at, version, send_at, issued, despite, problem;

-- name: open_draft -> mailer.digests.Digest
-- What a schedule made and nobody has approved yet.
select id, newsletter, number, cadence, state, introduction, created_by, created_at, approved_by,
       approved_at, finished_at, version, send_at, issued, despite, problem
from digest
where newsletter = $1 and cadence = $2 and created_by = $3 and state = 'draft'
order by id
limit 1;

-- name: count_new
-- By newsletter and cadence, of one ($1, $2) or of all: what it has not had yet. Translations of one
-- article count once.
select n.id as newsletter, c.cadence, count(distinct coalesce('w' || a.work, 'a' || a.id)) as fresh
from newsletter n
cross join unnest(n.cadences) as c (cadence)
left join article a
    on a.newsletter = n.id
   and not a.known
   and not a.held
   and a.withdrawn_at is null
   and not exists (
       select from digest_article l
       where l.newsletter = n.id and l.cadence = c.cadence and l.article = a.id
   )
where ($1::integer is null or n.id = $1) and ($2::text is null or c.cadence = $2)
group by n.id, c.cadence;

-- name: choose
-- What was published first comes first; by first sight, never by date. Translations go together.
with fresh as (
    select a.id, min(a.id) over (partition by coalesce('w' || a.work, 'a' || a.id)) as first
    from article a
    where a.newsletter = $2
      and not a.known
      and not a.held
      and a.withdrawn_at is null
      and not exists (
          select from digest_article l
          where l.newsletter = $2 and l.cadence = $3 and l.article = a.id
      )
), ranked as (
    select id, first, dense_rank() over (order by first) as place from fresh
), chosen as (
    insert into digest_article (digest, article, newsletter, cadence, position)
    select $1, r.id, $2, $3, coalesce(l.last, 0) + row_number() over (order by r.first, r.id)
    from ranked r
    cross join (select max(position) as last from digest_article where digest = $1) l
    where r.place <= $4
    returning 1
)
select count(distinct r.first) from ranked r where r.place <= $4 and exists (select from chosen);

-- name: find -> mailer.digests.Digest
select d.id, d.newsletter, d.number, d.cadence, d.state, d.introduction, d.created_by,
       d.created_at, d.approved_by, d.approved_at, d.finished_at, d.version, d.send_at, d.issued,
       d.despite, d.problem
from digest d
join newsletter n on n.id = d.newsletter
where n.slug = $1 and d.number = $2;

-- name: get -> mailer.digests.Digest
select id, newsletter, number, cadence, state, introduction, created_by, created_at, approved_by,
       approved_at, finished_at, version, send_at, issued, despite, problem
from digest
where id = $1;

-- name: listed -> mailer.digests.Digest
select d.id, d.newsletter, d.number, d.cadence, d.state, d.introduction, d.created_by,
       d.created_at, d.approved_by, d.approved_at, d.finished_at, d.version, d.send_at, d.issued,
       d.despite, d.problem
from digest d
join newsletter n on n.id = d.newsletter
where $1::text is null or n.slug = $1
order by d.id desc;

-- name: page -> mailer.digests.Digest
-- Newest first; the next page is those before the last of this one.
select d.id, d.newsletter, d.number, d.cadence, d.state, d.introduction, d.created_by,
       d.created_at, d.approved_by, d.approved_at, d.finished_at, d.version, d.send_at, d.issued,
       d.despite, d.problem
from digest d
join newsletter n on n.id = d.newsletter
where ($1::text is null or n.slug = $1)
  and ($2::text is null or d.state = $2)
  and ($3::integer is null or d.id < $3)
order by d.id desc
limit $4;

-- name: on_offer -> mailer.digests.Offer
-- What may be picked into a draft: works of its newsletter that its cadence has not had, or passed
-- over. Newest first.
select min(a.id) as article,
       (array_agg(a.title order by a.id))[1] as title,
       array_agg(a.language order by a.id) as languages,
       max(a.seen_at) as seen_at,
       bool_or(l.article is not null) as skipped,
       bool_and(a.known) as known
from digest d
join article a on a.newsletter = d.newsletter and a.withdrawn_at is null and not a.held
left join digest_article l
    on l.newsletter = a.newsletter and l.cadence = d.cadence and l.article = a.id
where d.id = $1 and l.position is null
group by coalesce('w' || a.work, 'a' || a.id)
order by max(a.id) desc
limit $2;

-- name: readers
-- By the language of the edition they get: whoever it goes to if it begins now.
select case when s.language = any (n.languages) then s.language else n.fallback end as language,
       count(*) as readers
from digest d
join newsletter n on n.id = d.newsletter
join subscription s
    on s.newsletter = d.newsletter and s.cadence = d.cadence and s.state = 'confirmed'
   and (s.paused_until is null or s.paused_until <= now())
where d.id = $1
group by 1
order by 2 desc, 1;

-- name: try_out
insert into trial (staff, digest, language) values ($1, $2, $3)
on conflict (staff) do update
set digest = excluded.digest, language = excluded.language, asked_at = now();

-- name: trial -> mailer.digests.Trial
select digest, language from trial where staff = $1;

-- name: stuck -> mailer.digests.Digest
-- Drafts that were to go by themselves.
select id, newsletter, number, cadence, state, introduction, created_by, created_at, approved_by,
       approved_at, finished_at, version, send_at, issued, despite, problem
from digest
where state = 'draft' and problem is not null
order by id;

-- name: ready -> mailer.digests.Digest
select id, newsletter, number, cadence, state, introduction, created_by, created_at, approved_by,
       approved_at, finished_at, version, send_at, issued, despite, problem
from digest
where state = 'draft' and problem is null and created_by = $1
order by id;

-- name: sent -> mailer.digests.Digest
select id, newsletter, number, cadence, state, introduction, created_by, created_at, approved_by,
       approved_at, finished_at, version, send_at, issued, despite, problem
from digest
where newsletter = $1 and state = 'sent'
order by issued desc
limit $2;

-- name: contents -> mailer.articles.Article
-- What is withdrawn, or held again, is out.
select a.id, a.newsletter, a.feed, a.external_id, a.language, a.title, a.url, a.summary,
       a.published_at, a.seen_at, a.known, a.work, a.image_url, a.image_alt, a.bundle_url,
       a.bundle_type, a.bundle_size, a.categories, a.related, a.revised_at, a.withdrawn_at, a.held
from digest_article l
join digest d on d.id = l.digest and d.cadence = l.cadence
join article a on a.id = l.article
where l.digest = $1 and l.position is not null and a.withdrawn_at is null
order by l.pinned desc, l.position;

-- name: articles -> mailer.articles.Article
select id, newsletter, feed, external_id, language, title, url, summary, published_at, seen_at,
       known, work, image_url, image_alt, bundle_url, bundle_type, bundle_size, categories, related,
       revised_at, withdrawn_at, held
from article
where id = any ($1::bigint[])
order by array_position($1::bigint[], id);

-- name: pinned
select l.article from digest_article l where l.digest = $1 and l.pinned;

-- name: count_articles
-- By digest, of these.
select d.id as digest, n.slug as newsletter,
       count(distinct coalesce('w' || a.work, 'a' || a.id)) as articles
from digest d
join newsletter n on n.id = d.newsletter
left join digest_article l
    on l.digest = d.id and l.cadence = d.cadence and l.position is not null
left join article a on a.id = l.article
where d.id = any ($1::integer[])
group by d.id, n.slug;

-- name: had
-- Works of this digest that editions of the cadence have shown, by language.
select distinct a.work, shown.language
from digest_article mine
join digest d on d.id = mine.digest and d.cadence = mine.cadence
join article m on m.id = mine.article
join article a on a.newsletter = m.newsletter and a.work = m.work
join digest_article l
    on l.newsletter = mine.newsletter and l.cadence = mine.cadence and l.article = a.id
   and l.digest <> mine.digest
cross join unnest(l.shown_in) as shown (language)
where mine.digest = $1;

-- name: edit
-- Whoever edits says which version they have seen, so that nobody's work is overwritten unseen.
update digest set version = version + 1
where id = $1 and state = 'draft' and ($2::integer is null or version = $2)
returning version;

-- name: introduce
update digest set introduction = $2 where id = $1;

-- name: pick
-- With its translations; one that was passed over may come back.
with last as (
    select coalesce(max(position), 0) as position from digest_article where digest = $1
)
insert into digest_article as l (digest, article, newsletter, cadence, position)
select d.id, a.id, d.newsletter, d.cadence, last.position + row_number() over (order by a.id)
from digest d
cross join last
join article picked on picked.id = $2 and picked.newsletter = d.newsletter
join article a
    on a.newsletter = d.newsletter and (a.id = picked.id or a.work = picked.work)
where d.id = $1 and a.withdrawn_at is null
on conflict (newsletter, cadence, article) do update
set digest = excluded.digest, position = excluded.position, shown_in = '{}'
where l.position is null
returning article;

-- name: whereabouts
-- Of an article in this digest's cadence: the number of its digest there.
select o.number
from digest d
join digest_article l on l.newsletter = d.newsletter and l.cadence = d.cadence and l.article = $2
join digest o on o.id = l.digest
where d.id = $1;

-- name: skip
update digest_article l set position = null, pinned = false
from article a, article named
where l.digest = $1 and named.id = $2 and a.id = l.article
  and (a.id = named.id or a.work = named.work)
returning l.article;

-- name: put_back
delete from digest_article l
using article a, article named
where l.digest = $1 and named.id = $2 and a.id = l.article
  and (a.id = named.id or a.work = named.work)
returning l.article;

-- name: pin
update digest_article l set pinned = $3
from article a, article named
where l.digest = $1 and named.id = $2 and a.id = l.article and l.position is not null
  and (a.id = named.id or a.work = named.work)
returning l.article;

-- name: reorder
update digest_article l set position = o.position
from unnest($2::bigint[]) with ordinality as o (article, position)
where l.digest = $1 and l.article = o.article and l.position is not null;

-- name: approve
update digest set state = 'approved', approved_by = $2, approved_at = now(),
    send_at = coalesce($3::timestamptz, now()), despite = $4, problem = null
where id = $1 and state = 'draft' and version = $5
returning true;

-- name: let_withdrawn_go
-- They come with a later digest, should they be published again.
delete from digest_article l
using article a
where l.digest = $1 and a.id = l.article and a.withdrawn_at is not null and l.position is not null;

-- name: freeze
-- The pictures that it shows are kept as long as it is.
with made as (
    insert into edition (digest, language, subject, html, text, articles, main)
    values ($1, $2, $3, $4, $5, $6, $7)
    returning id
), pictured as (
    insert into edition_picture
    select distinct made.id, decode(shown.match[1], 'hex')
    from made
    cross join regexp_matches($4, '/picture/([0-9a-f]{64})', 'g') as shown (match)
)
select id from made;

-- name: say_shown
update digest_article l
set shown_in = coalesce(
    (select array_agg(e.language order by e.language)
     from edition e
     where e.digest = l.digest and e.main and l.article = any (e.articles)),
    '{}')
from digest d
where d.id = $1 and l.digest = d.id and l.cadence = d.cadence;

-- name: recall
update digest set state = 'draft', approved_by = null, approved_at = null, send_at = null,
    despite = '{}', version = version + 1
where id = $1 and state = 'approved'
returning true;

-- name: melt
with gone as (
    delete from edition where digest = $1
)
update digest_article set shown_in = '{}' where digest = $1;

-- name: edition -> mailer.digests.Edition
select digest, language, subject, html, text, articles, main, id from edition where id = $1;

-- name: editions -> mailer.digests.Edition
select digest, language, subject, html, text, articles, main, id
from edition
where digest = $1 and main
order by language;

-- name: headlines -> mailer.digests.Headline
select digest, language, subject, articles
from edition
where digest = any ($1::integer[]) and main
order by digest, language;

-- name: to_begin -> mailer.digests.Digest
-- While one of a newsletter begins, others skip that newsletter; `begin` makes sure it is once.
select d.id, d.newsletter, d.number, d.cadence, d.state, d.introduction, d.created_by,
       d.created_at, d.approved_by, d.approved_at, d.finished_at, d.version, d.send_at, d.issued,
       d.despite, d.problem
from digest d
join newsletter n on n.id = d.newsletter
where d.state = 'approved' and d.send_at <= now()
order by d.send_at, d.id
limit 1
for no key update of n skip locked;

-- name: begin
update digest d
set state = 'sending',
    issued = (select coalesce(max(o.issued), 0) + 1 from digest o where o.newsletter = d.newsletter)
where d.id = $1 and d.state = 'approved'
returning d.issued;

-- name: catching_up -> mailer.digests.Group
-- Readers who changed cadence or language, by what they have had. Who pauses is passed by, like all
-- who pause.
select reader.language, reader.entered, reader.bookmarks,
       array_agg(reader.id order by reader.id) as subscriptions
from (
    select s.id, s.entered,
           case when s.language = any (n.languages) then s.language else n.fallback end as language,
           (select jsonb_agg(
                jsonb_build_object('cadence', b.cadence, 'language', b.language, 'issued', b.issued)
                order by b.cadence, b.language)
            from bookmark b
            where b.subscription = s.id) as bookmarks
    from digest d
    join newsletter n on n.id = d.newsletter
    join subscription s on s.newsletter = d.newsletter and s.cadence = d.cadence
    where d.id = $1
      and s.entered is not null
      and s.state = 'confirmed'
      and (s.paused_until is null or s.paused_until <= now())
) reader
group by reader.language, reader.entered, reader.bookmarks
order by reader.language, reader.entered, reader.bookmarks::text;

-- name: remaining
-- What readers with these bookmarks (cadence, language, issued) have not had of what the cadence has
-- shown in a language up to this digest:
--   of the digests before they came to it, what none of theirs had brought by then;
--   of those since, everything;
-- but no work that an edition of theirs has shown.
with marks as (
    select * from jsonb_to_recordset($3::jsonb) as m (cadence text, language text, issued integer)
), works as (
    select a.work
    from marks m
    join digest d on d.id = $1
    join digest_article l on l.newsletter = d.newsletter and l.cadence = m.cadence
    join digest o on o.id = l.digest and o.issued <= m.issued
    join article a on a.id = l.article
    where a.work is not null and m.language = any (l.shown_in)
)
select l.article
from digest d
join digest_article l on l.newsletter = d.newsletter and l.cadence = d.cadence
join digest o on o.id = l.digest and o.cadence = d.cadence and o.issued <= d.issued
join article a on a.id = l.article
where d.id = $1
  and o.issued > coalesce((select max(m.issued) from marks m where m.cadence = d.cadence), 0)
  and l.position is not null
  and $2 = any (l.shown_in)
  and (a.work is null or a.work not in (select work from works))
  and not exists (
      select
      from marks m
      join digest_article t
          on t.newsletter = d.newsletter and t.cadence = m.cadence and t.article = l.article
      join digest b on b.id = t.digest and b.issued <= m.issued
      where o.issued <= $4 or m.language = any (t.shown_in)
  )
order by o.issued, l.pinned desc, l.position;

-- name: advance
-- Whoever was passed by or had nothing to catch up has had it, too.
insert into bookmark (subscription, cadence, language, issued)
select s.id, d.cadence,
       case when s.language = any (n.languages) then s.language else n.fallback end, d.issued
from digest d
join newsletter n on n.id = d.newsletter
join subscription s on s.newsletter = d.newsletter and s.cadence = d.cadence
where d.id = $1 and s.entered is not null and s.state = 'confirmed'
on conflict (subscription, cadence, language) do update set issued = excluded.issued;

-- name: pause
update digest set state = 'paused' where id = $1 and state = 'sending' returning true;

-- name: pause_all
-- Slug and number of each.
update digest d set state = 'paused'
from newsletter n
where n.id = d.newsletter and d.state = 'sending'
returning n.slug || ' ' || d.number as name;

-- name: resume
update digest set state = 'sending' where id = $1 and state = 'paused' returning true;

-- name: cancel
update digest set state = 'cancelled', finished_at = now()
where id = $1 and state in ('draft', 'approved', 'sending', 'paused')
returning issued is not null as begun;

-- name: give_back
delete from digest_article l using digest d
where d.id = $1 and l.digest = d.id and l.cadence = d.cadence and l.position is not null;

-- name: finish_done
update digest d set state = 'sent', finished_at = now()
where d.state = 'sending'
  and not exists (select from batch b where b.digest = d.id)
returning d.id;

-- name: complain
update digest set problem = $2 where id = $1;
