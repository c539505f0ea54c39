-- The first schema. Rules that hold everywhere:
--   a person is a random subject id; every personal value is sealed under that subject's own key;
--   times are timestamptz written by now(); states are text with a CHECK;
--   no extension is used.

-- VAULT ------------------------------------------------------------------------------------------

-- Keys that must outlive a rotation of MAILER_SECRET_KEY (index, suppression, network …):
-- random, wrapped by a key derived from it, re-wrapped when it changes.
create table vault_key (
    name       text primary key,
    wrapped    bytea not null,
    created_at timestamptz not null default now()
);

-- Somebody (or the house itself: the all-zero id) about whom events are recorded.
-- Destroying dek makes every sealed value and every commitment of the subject meaningless.
create table subject (
    id         uuid primary key,
    dek        bytea,                             -- wrapped; null once erased
    seq        integer not null default 0,        -- of the latest event
    head       bytea,                             -- commitment of the latest event
    erased_at  timestamptz,
    created_at timestamptz not null default now()
);

-- Who we are in the consent record, for ever, whatever the domain becomes.
create table house (
    origin text primary key
);
insert into house values ('mailer/' || gen_random_uuid());

-- NEWSLETTERS ------------------------------------------------------------------------------------

create table newsletter (
    id         integer generated always as identity primary key,
    slug       text not null unique check (slug ~ '^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$'),
    titles     jsonb not null,                    -- {"en": "Weekly", "ru": "Еженедельник"}
    languages  text[] not null check (cardinality(languages) > 0),
    fallback   text not null check (fallback = any (languages)),
    cadences   text[] not null check (cardinality(cadences) > 0
                   and cadences <@ array['published', 'daily', 'weekly', 'monthly']),
    timezone   text not null default 'UTC',
    archived   boolean not null default true,     -- sent digests are shown in public
    created_at timestamptz not null default now()
);

-- NOTICES ----------------------------------------------------------------------------------------

-- One version, in one language, of the consent wording; addressed by its content and immutable.
create table notice (
    id           text primary key,                -- the first 32 hex digits of sha256
    sha256       bytea not null unique check (length(sha256) = 32),
    newsletter   integer references newsletter,   -- null: serves every newsletter
    language     text not null,
    wording      text not null,                   -- the sentence beside the box, exactly as shown
    controller   text not null,
    purposes     text[] not null,
    recipients   text not null,
    retention    text not null,
    withdrawal   text not null,
    valid_from   timestamptz not null default now()
);
create index notice_current on notice (language, valid_from desc);

-- CONSENT ----------------------------------------------------------------------------------------

create table consent_event (
    id         uuid primary key,                  -- UUIDv7
    subject    uuid not null references subject,
    seq        integer not null,
    prev       bytea,                             -- commitment of the subject's previous event
    commitment bytea not null check (length(commitment) = 32),
    at         timestamptz not null,
    type       text not null,
    newsletter text,                              -- slug; type, at, newsletter, notice: to filter by
    notice     text references notice,
    body       bytea,                             -- the event (RFC 8785), sealed; null once erased
    unique (subject, seq)
);
create index consent_event_at on consent_event (at, id);

create function refuse_change() returns trigger language plpgsql as $$
begin
    if tg_table_name = 'consent_event' and tg_op = 'UPDATE' then
        if current_setting('mailer.erasing', true) = old.subject::text then
            return new;
        end if;
    end if;
    raise exception '% is append-only', tg_table_name using errcode = 'insufficient_privilege';
end $$;

-- The one way round that: what a person may demand (GDPR, Article 17).
create function erase_subject(erased uuid) returns void language plpgsql as $$
begin
    perform set_config('mailer.erasing', erased::text, true);
    update consent_event set body = null, newsletter = null, notice = null where subject = erased;
    perform set_config('mailer.erasing', '', true);
    update subject set dek = null, erased_at = now() where id = erased;
end $$;

create trigger consent_event_append_only before update or delete on consent_event
    for each row execute function refuse_change();
create trigger consent_event_no_truncate before truncate on consent_event
    execute function refuse_change();
create trigger notice_append_only before update or delete on notice
    for each row execute function refuse_change();
create trigger notice_no_truncate before truncate on notice
    execute function refuse_change();

-- SUBSCRIBERS ------------------------------------------------------------------------------------

create table subscriber (
    id         uuid primary key references subject,
    lookup     bytea not null unique check (length(lookup) = 32),  -- HMAC of the normal address
    address    bytea not null,                    -- as given; sealed
    language   text not null,
    handle     integer not null,                  -- random; finds the row of a token, proves nothing
    created_at timestamptz not null default now()
);
create index subscriber_handle on subscriber (handle);

create table suppression (
    hash       bytea primary key check (length(hash) = 32),
    reason     text not null check (reason in ('person', 'complaint', 'bounce', 'staff')),
    created_at timestamptz not null default now()
);

-- SUBSCRIPTIONS ----------------------------------------------------------------------------------

-- What a form left, until a worker takes it: same work at the door for everyone.
-- id and dek become the subject's own if the address turns out to be new.
create table request (
    id         uuid primary key,
    dek        bytea not null,
    payload    bytea not null,                    -- address, choices and evidence; sealed and padded
    created_at timestamptz not null default now()
);
create index request_order on request (created_at);

create table subscription (
    id           bigint generated always as identity primary key,
    subscriber   uuid not null references subscriber on delete cascade,
    newsletter   integer not null references newsletter,
    state        text not null check (state in ('pending', 'confirmed', 'left')),
    language     text not null,
    cadence      text not null check (cadence in ('published', 'daily', 'weekly', 'monthly')),
    notice       text not null references notice,
    handle       integer not null,                -- random; finds the row of a token, proves nothing
    asked_at     timestamptz not null default now(),  -- when the present asking began: binds its link
    mailed_at    timestamptz,                     -- when a confirmation was last put in the outbox
    unanswered   integer not null default 0,      -- confirmations since the last answer
    expires_at   timestamptz not null,            -- of the link, while pending
    confirmed_at timestamptz,
    left_at      timestamptz,
    paused_until timestamptz,
    created_at   timestamptz not null default now(),
    unique (subscriber, newsletter),
    check (state <> 'confirmed' or confirmed_at is not null),
    check (state <> 'left' or left_at is not null)
);
create index subscription_handle on subscription (handle);
create index subscription_readers on subscription (newsletter, cadence, language)
    where state = 'confirmed';
create index subscription_pending on subscription (expires_at) where state = 'pending';

-- CONTENT ----------------------------------------------------------------------------------------

create table feed (
    id            integer generated always as identity primary key,
    newsletter    integer not null references newsletter,
    url           text not null,
    title         text,
    language      text,                           -- said by staff; else the feed's own
    etag          text,                           -- sent back verbatim
    last_modified text,                           -- sent back verbatim
    polled_at     timestamptz,                    -- null: never; its first fetch sends nothing
    due_at        timestamptz not null default now(),
    failures      integer not null default 0,
    problem       text,                           -- the latest failure in a sentence
    gone          boolean not null default false, -- 410: polled no more
    created_at    timestamptz not null default now(),
    unique (newsletter, url)
);
create index feed_due on feed (due_at) where not gone;

create table article (
    id           bigint generated always as identity primary key,  -- order of first sight
    newsletter   integer not null references newsletter,
    feed         integer references feed on delete set null,
    external_id  text not null,                   -- guid, else link, else hash; the API's external_id
    language     text not null,
    title        text not null,
    url          text,
    summary      text not null default '',        -- sanitised HTML
    published_at timestamptz,
    seen_at      timestamptz not null default now(),
    known        boolean not null default false,  -- there before we were: never sent
    unique (newsletter, external_id)
);
create index article_of_feed on article (feed, id);

create table attachment (
    article  bigint not null references article on delete cascade,
    position integer not null,
    name     text not null,
    url      text not null,
    type     text,                                -- media type
    size     bigint check (size >= 0),            -- bytes; null: unknown, and said so
    language text,
    primary key (article, position)
);

-- DIGESTS ----------------------------------------------------------------------------------------

create table digest (
    id           integer generated always as identity primary key,
    newsletter   integer not null references newsletter,
    number       integer not null,                -- 1, 2, 3 … within the newsletter
    cadence      text not null check (cadence in ('published', 'daily', 'weekly', 'monthly')),
    state        text not null default 'draft' check (state in
                     ('draft', 'approved', 'sending', 'paused', 'sent', 'cancelled')),
    introduction jsonb not null default '{}',     -- {"en": "…"}
    created_by   text not null,
    created_at   timestamptz not null default now(),
    approved_by  text,
    approved_at  timestamptz,
    finished_at  timestamptz,
    unique (newsletter, number)
);

-- The ledger: the only memory of what was sent. One place an article has in a newsletter's cadence.
create table digest_article (
    digest     integer not null references digest on delete cascade,
    article    bigint not null references article,
    newsletter integer not null,
    cadence    text not null,
    position   integer not null,
    primary key (digest, article),
    unique (newsletter, cadence, article)
);

-- A digest in one language, frozen at approval; slots stand where a reader's own links go.
create table edition (
    digest   integer not null references digest on delete cascade,
    language text not null,
    subject  text not null,
    html     text not null,
    text     text not null,
    primary key (digest, language)
);

-- WORKERS ----------------------------------------------------------------------------------------

-- Who works. A worker says so every few seconds; whoever falls silent is removed by the others,
-- and the mails it held are free again.
create table worker (
    id      uuid primary key,
    seen_at timestamptz not null default now()
);

-- OUTBOX -----------------------------------------------------------------------------------------

-- One row a mail: kind and ids, no text, no secret, no address.
create table outbox (
    id           bigint generated always as identity primary key,
    kind         text not null check (kind in ('confirm', 'already', 'digest')),
    subscription bigint not null references subscription on delete cascade,
    digest       integer references digest,
    message      uuid not null default gen_random_uuid(),  -- of the Message-ID, the same at each try
    state        text not null default 'waiting'
                     check (state in ('waiting', 'sent', 'failed', 'dropped')),
    worker       uuid references worker on delete set null,  -- who holds it
    attempts     integer not null default 0,
    attested     boolean not null default false,  -- the consent record has its confirmation.sent
    due_at       timestamptz not null default now(),
    reply        text,                            -- the server's last words, addresses masked
    created_at   timestamptz not null default now(),
    settled_at   timestamptz,
    unique (digest, subscription),
    check ((kind = 'digest') = (digest is not null))
);
-- Letters to one person go before digests, and a paused digest is not even looked at.
create index outbox_letters on outbox (due_at, id)
    where state = 'waiting' and worker is null and digest is null;
create index outbox_digests on outbox (digest, due_at, id)
    where state = 'waiting' and worker is null and digest is not null;
create index outbox_held on outbox (worker) where worker is not null;
create index outbox_of_subscription on outbox (subscription);

-- LIMITS -----------------------------------------------------------------------------------------

-- Counts by keyed hash (of a network, never the network itself) and window.
create table hit (
    key          bytea not null,
    window_start timestamptz not null,
    count        integer not null,
    primary key (key, window_start)
);

-- When the next mail may go: one rate for all workers together.
create table pace (
    name text primary key,
    at   timestamptz not null
);

-- STAFF ------------------------------------------------------------------------------------------

create table staff (
    id          uuid primary key references subject,
    lookup      bytea not null unique check (length(lookup) = 32),
    address     bytea not null,                   -- sealed
    role        text not null check (role in ('owner', 'editor', 'privacy', 'viewer')),
    password    text not null,                    -- argon2id
    disabled_at timestamptz,
    created_at  timestamptz not null default now()
);
