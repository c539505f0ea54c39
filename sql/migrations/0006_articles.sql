-- Articles as a site really has them: in several languages, with a picture, a parcel of all their
-- documents, related stories; corrected, or withdrawn.

alter table article
    add column work         text,                 -- the same in every translation of one article
    add column image_url    text,
    add column image_alt    text,                 -- what it shows; empty: it only decorates
    add column bundle_url   text,                 -- "download all"
    add column bundle_type  text,                 -- media type
    add column bundle_size  bigint check (bundle_size >= 0),  -- bytes; null: unknown, and said so
    add column categories   text[] not null default '{}',
    add column related      jsonb not null default '[]',      -- [{"title": "…", "url": "…"}], in order
    add column revised_at   timestamptz,          -- when what it says last changed after first sight
    add column withdrawn_at timestamptz,          -- taken back: in no digest from then on
    add column held         boolean not null default false,  -- waits for an editor: flood guard
    add check ((image_url is null) = (image_alt is null)),
    add check (bundle_url is not null or (bundle_type is null and bundle_size is null));

create unique index article_translation on article (newsletter, work, language)
    where work is not null and withdrawn_at is null;
create index article_held on article (feed) where held;

-- Ids without a scheme are unique to a site at best: they are kept under this host, which stays
-- what it was when the feed was added, wherever the feed moves later.
alter table feed add column id_host text;
update feed set id_host = substring(url from '^https?://([^/:?#]+)');
alter table feed alter column id_host set not null;

-- How long it asked to be left alone when it was last read; it holds when nothing changed, too.
alter table feed add column pause interval;

-- Tokens of the API: what other programs show to be let in. Of a token only its hash is kept.
create table access_token (
    id           integer generated always as identity primary key,
    name         text not null,                   -- which program it is for
    sha256       bytea not null check (length(sha256) = 32),
    scopes       text[] not null check (cardinality(scopes) > 0),
    newsletter   integer references newsletter,   -- null: all of them
    created_by   text not null,
    created_at   timestamptz not null default now(),
    expires_at   timestamptz not null,
    revoked_at   timestamptz,
    last_used_at timestamptz                      -- to the minute
);
create unique index access_token_name on access_token (name) where revoked_at is null;
