-- expand
-- The slow queue: first those about whom nothing is unusual; whoever solves a puzzle leaves it.

alter table request
    add column ordinary boolean not null default false,  -- nothing unusual but that a flood is on
    add column posed    bytea check (length(posed) = 32);  -- the puzzle that would make it prompt
drop index request_slow;
create index request_slow on request (ordinary desc, weight, created_at) where slow;
create index request_posed on request (posed) where posed is not null;

-- Solutions that came after their forms, until a worker has looked which forms those are.
alter table spent add column late boolean not null default false;
create index spent_late on spent (hash) where late;
