-- Pictures of articles, brought here once, so that whoever opens a mail asks nobody else for them.
create table picture (
    url      text primary key,                    -- where it came from
    sha256   bytea check (length(sha256) = 32),   -- null: not here
    type     text,
    width    integer,
    height   integer,
    data     bytea,
    problem  text,                                -- why it is not here, in a sentence
    attempts integer not null default 0,
    due_at   timestamptz not null default now(),
    check ((data is null) = (sha256 is null))
);
create index picture_content on picture (sha256) where sha256 is not null;
alter table picture alter column data set storage external;  -- pictures are compressed already
