-- Digests that make themselves, wait for an editor, and lose or repeat nothing for anybody.

-- NEWSLETTERS ------------------------------------------------------------------------------------

alter table newsletter
    -- An article that is not in a reader's language: in the fallback's, with its language named;
    -- or not at all, until there is a translation.
    add column untranslated text not null default 'shown'
                   check (untranslated in ('shown', 'omitted')),
    add column approval     text not null default 'editor'  -- of digests that a schedule makes
                   check (approval in ('editor', 'automatic')),
    add column images       boolean not null default false, -- shown in its mails; fetched from the site
    add column fewest       integer not null default 1,     -- new articles, or a schedule passes by
    add column most         integer not null default 50,    -- in one digest; the rest comes next time
    add check (1 <= fewest and fewest <= most and most <= 200);

-- When a cadence's next digest is to be made. `cron` in the newsletter's time zone; none for
-- `published`, which makes one as soon as there is something.
create table schedule (
    newsletter integer not null references newsletter,
    cadence    text not null check (cadence in ('published', 'daily', 'weekly', 'monthly')),
    cron       text check ((cron is null) = (cadence = 'published')),
    due_at     timestamptz not null,
    primary key (newsletter, cadence)
);
create index schedule_due on schedule (due_at);

-- DIGESTS ----------------------------------------------------------------------------------------

alter table digest
    add column version integer not null default 1,  -- of a draft: grows with each edit
    add column send_at timestamptz,                 -- approved: when it is to begin
    add column issued  integer,                     -- 1, 2, 3 …: the order in which digests began
    add column despite text[] not null default '{}', -- warnings that whoever approved it put aside
    add column problem text,                        -- why it did not go by itself, in a sentence
    add unique (newsletter, issued),
    add check (state <> 'approved' or send_at is not null);
create index digest_to_begin on digest (send_at) where state = 'approved';

-- Digests that began before had no such order: it is that of their approvals.
update digest d set issued = o.place
from (select id, row_number() over (partition by newsletter order by approved_at, id) as place
      from digest where approved_at is not null) o
where o.id = d.id;

-- (A cadence that begins later takes over what others have had, so that a digest may stand in the
-- ledger of a cadence that is not its own.)
alter table digest_article
    drop constraint digest_article_pkey,
    drop constraint digest_article_newsletter_cadence_article_key,
    add primary key (newsletter, cadence, article),
    alter column position drop not null,             -- null: passed over in this cadence for good
    add column pinned boolean not null default false, -- stays first
    add column shown_in text[] not null default '{}'; -- languages of the editions that show it
create index digest_article_of_digest on digest_article (digest, position);
update digest_article l set shown_in = n.languages
from newsletter n
where n.id = l.newsletter
  and exists (select from digest d where d.id = l.digest and d.approved_at is not null);

-- A digest has one main edition a language, and further ones for readers who have had a part of it
-- already, or have to catch up.
alter table edition
    drop constraint edition_pkey,
    add column id       integer generated always as identity primary key,
    add column main     boolean not null default true,
    add column articles bigint[] not null default '{}';  -- what it shows, in order
create unique index edition_main on edition (digest, language) where main;
create index edition_of_digest on edition (digest);

-- Which edition a mail shows. No foreign key: editions are never deleted, and a million rows at
-- once are put here.
alter table outbox add column edition integer;
update outbox o set edition = e.id
from subscription s join newsletter n on n.id = s.newsletter, edition e
where s.id = o.subscription and e.digest = o.digest
  and e.language = case when s.language = any (n.languages) then s.language else n.fallback end;

-- READERS ----------------------------------------------------------------------------------------

-- Most readers have had what the ledger says of their cadence and language. Whoever changed either
-- has bookmarks: of each cadence and language they were in, up to which digest they have had it.
-- `entered`: the newsletter's latest digest when they last changed; null for all others.
alter table subscription add column entered integer;
create table bookmark (
    subscription bigint not null references subscription on delete cascade,
    cadence      text not null,
    language     text not null,
    issued       integer not null,
    primary key (subscription, cadence, language)
);
create index subscription_entered on subscription (newsletter, cadence)
    where entered is not null and state = 'confirmed';
