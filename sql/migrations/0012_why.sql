-- Why readers leave, if they like to tell: counted, and by whom not kept.

create table leaving (
    newsletter integer not null references newsletter,
    reason     text not null check (reason in ('often', 'irrelevant', 'unasked', 'unsafe', 'other')),
    count      bigint not null check (count > 0),
    primary key (newsletter, reason)
);

-- Whether they told it since they last left, so that nobody counts twice; never what they told.
alter table subscription add column told_why boolean not null default false;
