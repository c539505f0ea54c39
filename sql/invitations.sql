-- name: add
with older as (
    update staff_link set used_at = now() where staff = $1 and used_at is null
)
insert into staff_link (staff, purpose, handle, expires_at)
values ($1, $2, $3, now() + $4::interval);

-- name: may_have
-- The account's row is locked, so that two who ask at once get one letter.
select f.id
from staff f
where f.lookup = $1 and f.disabled_at is null
  and not exists (
      select from staff_link l
      where l.staff = f.id and l.purpose = 'password' and l.created_at > now() - $2::interval
  )
for update of f;

-- name: holding -> mailer.invitations.Link
select id, staff, purpose, handle, expires_at
from staff_link
where staff = $1 and purpose = $2 and used_at is null and expires_at > now();

-- name: by_handle -> mailer.invitations.Link
select id, staff, purpose, handle, expires_at
from staff_link
where handle = $1 and used_at is null and expires_at > now();

-- name: use
update staff_link set used_at = now() where id = $1 and used_at is null returning id;
