-- name: hold
-- Until the connection goes back to its pool. By a lock and not by a row, so that whoever dies while
-- answering leaves nothing behind that would have to expire.
select pg_try_advisory_lock($1);

-- name: find -> mailer.answers.Kept
select request, status, headers, body from answer where token = $1 and key = $2
  and created_at > now() - interval '24 hours';

-- name: keep
insert into answer (token, key, request, status, headers, body) values ($1, $2, $3, $4, $5, $6)
on conflict (token, key) do update
set request = excluded.request, status = excluded.status, headers = excluded.headers,
    body = excluded.body, created_at = now();

-- name: forget_old
delete from answer where created_at < now() - interval '24 hours';
