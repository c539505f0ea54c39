-- name: add
insert into staff (id, lookup, address, role, password, language)
values ($1, $2, $3, $4, $5, $6);

-- name: listed -> mailer.staff.Account
select id, dek, address, role, language, password, totp, passkeys, disabled_at, created_at
from account
order by created_at, id;

-- name: get -> mailer.staff.Account
select id, dek, address, role, language, password, totp, passkeys, disabled_at, created_at
from account
where id = $1;

-- name: by_lookup -> mailer.staff.Account
select id, dek, address, role, language, password, totp, passkeys, disabled_at, created_at
from account
where id = (select id from staff where lookup = $1);

-- name: set_password
update staff set password = $2 where id = $1;

-- name: set_role
update staff set role = $2 where id = $1;

-- name: set_language
update staff set language = $2 where id = $1;

-- name: disable
with gone as (delete from session where staff = $1)
update staff set disabled_at = now() where id = $1 and disabled_at is null returning id;

-- name: enable
update staff set disabled_at = null where id = $1 and disabled_at is not null returning id;

-- name: lock_owners
select id from staff where role = 'owner' and disabled_at is null order by id for update;
