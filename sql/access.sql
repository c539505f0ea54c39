-- name: issue -> mailer.access.Token
insert into access_token (name, sha256, scopes, newsletter, created_by, expires_at)
values ($1, $2, $3, $4, $5, now() + $6::interval)
on conflict (name) where revoked_at is null do nothing
returning id, name, scopes, newsletter, created_by, created_at, expires_at, revoked_at,
          last_used_at;

-- name: all -> mailer.access.Token
select id, name, scopes, newsletter, created_by, created_at, expires_at, revoked_at, last_used_at
from access_token
order by id;

-- name: hash
select sha256 from access_token where id = $1;

-- name: valid -> mailer.access.Token
select id, name, scopes, newsletter, created_by, created_at, expires_at, revoked_at, last_used_at
from access_token
where id = $1 and revoked_at is null and expires_at > now();

-- name: used
update access_token set last_used_at = date_trunc('minute', now())
where id = $1 and last_used_at is distinct from date_trunc('minute', now());

-- name: revoke
update access_token set revoked_at = now() where name = $1 and revoked_at is null returning id;
