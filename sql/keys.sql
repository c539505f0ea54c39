-- name: beat
insert into key_holder (id, kind, holds, wraps) values ($1, $2, $3, $4)
on conflict (id) do update
set holds = excluded.holds, wraps = excluded.wraps, seen_at = clock_timestamp();

-- name: bury
delete from key_holder where id = $1;

-- name: bury_silent
delete from key_holder where seen_at < now() - interval '1 day';

-- name: holders -> mailer.keys.Holder
select id, kind, holds, wraps from key_holder
where seen_at > clock_timestamp() - interval '15 seconds'
order by kind, id;

-- name: lock_house
select name, wrapped from vault_key order by name for update;

-- name: rewrap_house
update vault_key set wrapped = $2 where name = $1;

-- name: subjects -> mailer.keys.Wrapped
-- Whoever is busy is left for the next round: nobody ever waits for a rotation.
select id, dek from subject
where ($1::uuid is null or id > $1) and dek is not null and substring(dek from 1 for 4) <> $2
order by id
limit $3
for update skip locked;

-- name: rewrap_subjects
update subject s set dek = n.dek
from unnest($1::uuid[], $2::bytea[]) as n (id, dek)
where s.id = n.id;

-- name: requests -> mailer.keys.Wrapped
select id, dek from request
where ($1::uuid is null or id > $1) and substring(dek from 1 for 4) <> $2
order by id
limit $3
for update skip locked;

-- name: rewrap_requests
update request r set dek = n.dek
from unnest($1::uuid[], $2::bytea[]) as n (id, dek)
where r.id = n.id;

-- name: import_lines -> mailer.keys.Wrapped
select id, dek from import_line
where ($1::uuid is null or id > $1) and substring(dek from 1 for 4) <> $2
order by id
limit $3
for update skip locked;

-- name: rewrap_import_lines
update import_line l set dek = n.dek
from unnest($1::uuid[], $2::bytea[]) as n (id, dek)
where l.id = n.id;

-- name: moment
-- Every transaction that has written something so far has a lower number.
select pg_current_xact_id()::text::bigint;

-- name: is_past
select pg_snapshot_xmin(pg_current_snapshot())::text::bigint > $1;

-- name: counts -> mailer.keys.Count
select name, sum(count)::bigint as count
from (
    select substring(dek from 1 for 4) as name, count(*) as count
    from subject where dek is not null group by 1
    union all
    select substring(dek from 1 for 4), count(*) from request group by 1
    union all
    select substring(dek from 1 for 4), count(*) from import_line group by 1
    union all
    select substring(wrapped from 1 for 4), count(*) from vault_key group by 1
) each
group by name
order by name;
