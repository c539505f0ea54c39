-- The edition that one of the staff asked for as a test mail, latest wins; the letter itself is made
-- when it is sent, from the draft as it is by then.
create table trial (
    staff    uuid primary key references staff on delete cascade,
    digest   integer not null references digest on delete cascade,
    language text not null,
    asked_at timestamptz not null default now()
);

alter table outbox
    drop constraint outbox_kind_check,
    add constraint outbox_kind_check check (
        case when staff is null
             then kind in ('confirm', 'already', 'digest', 'renew', 'address')
             else kind in ('trouble', 'invitation', 'password', 'trial') end
    );
