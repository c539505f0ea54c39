-- name: keep_key
-- Several processes may start at once on a fresh database: the first key stays.
insert into vault_key (name, wrapped) values ($1, $2) on conflict do nothing;

-- name: keys -> mailer.subjects.VaultKey
select name, wrapped from vault_key;

-- name: wrapping
-- All of them are always wrapped with the same key.
select substring(wrapped from 1 for 4) from vault_key limit 1;

-- name: keep
insert into subject (id, dek) values ($1, $2) on conflict do nothing;

-- name: keep_all
insert into subject (id, dek) select * from unnest($1::uuid[], $2::bytea[]);

-- name: dek
select dek from subject where id = $1;
