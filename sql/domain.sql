-- name: begin
-- A new service waits a little: whoever sets it up is busy with DNS just then.
insert into domain_look (due_at) values (now() + interval '10 minutes') on conflict do nothing;

-- name: claim
-- Whether it is time to look; nobody else does for a while.
update domain_look set due_at = now() + $1::interval where due_at <= now() returning true;

-- name: keep
update domain_look set looked_at = now(), wrong = $1;

-- name: wrong
select wrong from domain_look;
