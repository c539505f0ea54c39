-- RENEWALS ---------------------------------------------------------------------------------------

-- Readers of a newsletter who agreed to an older version of the wording are asked to agree to the
-- one valid now. Who has been asked and says nothing until the date leaves.
create table renewal (
    id         integer generated always as identity primary key,
    newsletter integer not null references newsletter,
    answer_by  timestamptz not null,
    created_by text not null,
    created_at timestamptz not null default now(),
    ended_at   timestamptz                        -- null: it runs
);
create unique index renewal_running on renewal (newsletter) where ended_at is null;

-- Whom it asked: each once.
create table renewal_asked (
    renewal      integer not null references renewal,
    subscription bigint not null references subscription on delete cascade,
    notice       text not null references notice, -- the words they are asked to agree to
    asked_at     timestamptz not null default now(),
    outcome      text check (outcome in ('renewed', 'expired')),  -- null: no answer so far
    primary key (renewal, subscription)
);
create index renewal_asked_of on renewal_asked (subscription);

-- Those whose time is over. Not who confirmed again after they were asked; nor anybody whom the
-- question did not reach.
create view renewal_overdue as
    select a.renewal, a.subscription, a.notice, a.asked_at, r.answer_by
    from renewal r
    join renewal_asked a on a.renewal = r.id
    join subscription s on s.id = a.subscription
    where r.ended_at is null and r.answer_by <= now() and a.outcome is null
      and s.state = 'confirmed' and s.confirmed_at < a.asked_at
      and not exists (
          select from outbox o
          where o.subscription = a.subscription and o.kind = 'renew'
            and o.created_at >= a.asked_at and o.state <> 'sent'
      );

alter table outbox
    drop constraint outbox_kind_check,
    add constraint outbox_kind_check check (kind in ('confirm', 'already', 'digest', 'renew'));

-- Who consented under which version.
create index subscription_notice on subscription (notice);
