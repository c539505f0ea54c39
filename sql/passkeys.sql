-- name: now
select now();

-- name: add
insert into passkey (id, staff, public_key, sign_count, name) values ($1, $2, $3, $4, $5);

-- name: of -> mailer.passkeys.Passkey
select id, staff, public_key, sign_count, name, created_at, used_at
from passkey
where staff = $1
order by created_at, id;

-- name: find -> mailer.passkeys.Passkey
select id, staff, public_key, sign_count, name, created_at, used_at
from passkey
where id = $1;

-- name: use
-- A challenge from before its last use may have been answered already.
update passkey set used_at = clock_timestamp(), sign_count = $2
where id = $1 and coalesce(used_at, '-infinity') < $3
returning id;

-- name: remove
delete from passkey where staff = $1 and id = $2 returning id;
