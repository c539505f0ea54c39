-- name: add
insert into suppression (hash, reason) values ($1, $2) on conflict do nothing;

-- name: remove
delete from suppression where hash = $1 returning true;

-- name: reason
select reason from suppression where hash = $1;

-- name: among
select hash from suppression where hash = any ($1::bytea[]);
