-- name: take_turn
-- One sealer at a time, and none while another worker objects; whoever is killed gives up its turn
-- with its connection.
select not exists (select from log_objection where worker is distinct from $1)
       and pg_try_advisory_xact_lock(7016395);

-- name: state -> mailer.log.State
-- `waiting` reads one entry of the index in its order, whatever the planner knows of a table that
-- has just been filled or sealed; inside `exists` it would be free to read the whole table.
select (select origin from house),
       (select coalesce(max(leaf) + 1, 0) from consent_event) as size,
       (select note from log_checkpoint),
       (select true from consent_event where leaf is null order by at, id limit 1) is not null
           as waiting;

-- name: waiting -> mailer.log.Sealable
-- In the order of time, in which every event comes after its subject's earlier ones.
select id, leaf, type, commitment, case when type = any ($2) then body end as body
from consent_event
where leaf is null
order by at, id
limit $1;

-- name: sealed -> mailer.log.Sealable
select id, leaf, type, commitment, case when type = any ($3) then body end as body
from consent_event
where leaf >= $1 and leaf < $2
order by leaf;

-- name: seal
select seal_events($1, $2);

-- name: tiles -> mailer.log.Tile
select level, index, hashes
from log_tile
join unnest($1::smallint[], $2::bigint[]) as wanted (level, index) using (level, index);

-- name: keep_tiles
insert into log_tile (level, index, hashes)
select * from unnest($1::smallint[], $2::bigint[], $3::bytea[])
on conflict (level, index) do update set hashes = excluded.hashes;

-- name: publish
insert into log_checkpoint (size, note) values ($1, $2)
on conflict (latest) do update
set size = excluded.size, note = excluded.note, signed_at = excluded.signed_at
where log_checkpoint.size < excluded.size;

-- name: object
insert into log_objection (worker, sentence) values ($1, $2)
on conflict (worker) do update set sentence = excluded.sentence, at = excluded.at;

-- name: agree
delete from log_objection where worker = $1;

-- name: lag
select coalesce(extract(epoch from now() - min(at)), 0)::float from consent_event where leaf is null;

-- name: objection
select sentence from log_objection order by at limit 1;

-- name: extent -> mailer.log.verification.Extent
select (select count(*) from log_tile where level = 0) as tiles,
       (select count(*) from log_tile where level > 0) as upper,
       (select index * 256 + length(hashes) / 32 from log_tile
        where level = 0 order by index desc limit 1) as size,
       (select count(*) from consent_event where leaf is null) as waiting;

-- name: beyond -> mailer.log.Sealable
select id, leaf, type, commitment, null::bytea as body
from consent_event
where leaf >= $1
order by leaf;
