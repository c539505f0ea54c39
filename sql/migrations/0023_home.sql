-- stop
-- What an older process freezes does not say which pictures it shows.
-- What the first page of the desk tells of and can't see by itself; pictures that go when nothing
-- shows them.

-- HOME -------------------------------------------------------------------------------------------

-- What DNS says of the sending domain, when a worker looked last. One row.
create table domain_look (
    one       boolean primary key default true check (one),
    due_at    timestamptz not null,               -- when one looks again
    looked_at timestamptz,
    wrong     jsonb not null default '[]'         -- [["what was looked at", "what is wrong with it"], …]
);

-- When a backup was last made. One row.
create table backup_made (
    one boolean primary key default true check (one),
    at  timestamptz not null default now()
);

-- A digest that its schedule has made, and that waits to be approved, is one of the things that staff
-- are written to about.
alter table trouble
    drop constraint trouble_kind_check,
    add constraint trouble_kind_check check (kind in
        ('failing', 'gone', 'held', 'silent', 'waiting', 'ready', 'storm', 'complaints',
         'many-complaints', 'flood'));

-- PICTURES ---------------------------------------------------------------------------------------

-- Which ones the text of an edition shows, from its freezing on.
create table edition_picture (
    edition bigint not null references edition on delete cascade,
    sha256  bytea not null check (length(sha256) = 32),
    primary key (edition, sha256)
);
create index edition_picture_content on edition_picture (sha256);
insert into edition_picture
select e.id, decode(shown.match[1], 'hex')
from edition e
cross join lateral regexp_matches(e.html, '/picture/([0-9a-f]{64})', 'g') as shown (match)
on conflict do nothing;

create index article_image on article (image_url) where image_url is not null;

-- Whether a mail shows it, or a digest may: one that was made, or one to come.
create function picture_wanted(p picture) returns boolean
language sql stable
return exists (select from edition_picture e where e.sha256 = p.sha256)
    or exists (
        select from article a
        where a.image_url = p.url and a.withdrawn_at is null
          and (a.seen_at > now() - interval '30 days'
               or exists (select from digest_article l
                          join digest d on d.id = l.digest
                          where l.article = a.id and l.position is not null
                            and d.state in ('draft', 'approved')))
    );
