-- name: step
select floor(extract(epoch from now()) / $1::integer)::bigint;

-- name: set_totp
update staff set totp = $2, totp_step = $3 where id = $1;

-- name: take_step
-- Of two requests with one code, one gets it.
update staff set totp_step = $2 where id = $1 and totp_step < $2 returning id;

-- name: replace_codes
with gone as (delete from recovery_code where staff = $1 and hash <> all ($2::bytea[]))
insert into recovery_code (staff, hash) select $1, unnest($2::bytea[]);

-- name: take_code
delete from recovery_code where staff = $1 and hash = $2 returning staff;

-- name: codes_left
select count(*) from recovery_code where staff = $1;

-- name: reset
with codes as (delete from recovery_code where staff = $1),
     keys as (delete from passkey where staff = $1),
     sessions as (delete from session where staff = $1)
update staff set totp = null where id = $1;
