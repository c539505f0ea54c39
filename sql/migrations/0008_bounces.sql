-- What comes back after a mail was sent, what was done about it, and how the list fares.

-- One report: a mail server's refusal, a bounce, a complaint, a wish to leave.
-- Nothing in it names a person or their provider but the subscription that it is about.
create table bounce (
    id           bigint generated always as identity primary key,
    subscription bigint not null references subscription on delete cascade,
    digest       integer references digest,       -- null: about a letter
    mail         uuid,                            -- its outbox.message, if there was one
    channel      text not null check (channel in
                     ('smtp', 'lmtp', 'imap', 'stdin', 'ses', 'mailgun', 'postmark', 'sendgrid')),
    kind         text not null check (kind in
                     ('hard', 'soft', 'policy', 'complaint', 'auto-reply', 'unsubscribe', 'unknown')),
    reason       text not null,
    status       text,                            -- 5.1.1 or 550, as it was told
    report       bytea,                           -- the message, addresses masked; sealed
    act          text check (act in ('left', 'suppressed')),  -- what was done because of it
    acted_at     timestamptz,
    forgiven_at  timestamptz,                     -- a later mail arrived: it counts no more
    undone_at    timestamptz,
    undone_by    text,
    created_at   timestamptz not null default now()
);
create index bounce_of_subscription on bounce (subscription, created_at);
create index bounce_of_digest on bounce (digest) where act is not null;
create index bounce_latest on bounce (created_at);
create index bounce_mail on bounce (mail);

-- Reports that were told: the same one told again, by whatever way, is none. Keyed hashes.
create table told (
    fingerprint bytea primary key check (length(fingerprint) = 32),
    at          timestamptz not null default now()
);

-- What bore no token of ours: forged, mangled or lost. Counted, and nothing else.
create table stray (
    day     date not null default current_date,
    channel text not null,
    kind    text not null,
    count   integer not null default 1,
    primary key (day, channel, kind)
);

-- How a digest fared with each large provider; with all smaller ones together: 'other'.
create table tally (
    digest   integer not null references digest on delete cascade,
    provider text not null,
    what     text not null,                       -- sent, deferred, refused, or a reason
    count    integer not null,
    primary key (digest, provider, what)
);
create index tally_of_provider on tally (provider, digest);

-- What somebody should look at. While a storm is not lifted, nobody is suppressed because of it.
create table alarm (
    digest     integer not null references digest on delete cascade,
    kind       text not null check (kind in ('storm', 'complaints', 'many-complaints')),
    provider   text not null,                     -- 'all' for complaints
    share      double precision not null,
    created_at timestamptz not null default now(),
    lifted_at  timestamptz,
    lifted_by  text,
    primary key (digest, kind, provider)
);
