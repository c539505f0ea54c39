-- name: take_turn -> mailer.consent.events.Turn
-- The row's lock orders the events of one subject; clock_timestamp(), because it is read once the
-- lock is held. Time never runs backwards along a chain, though a clock may.
update subject
set seq = subject.seq + 1,
    latest = greatest(clock_timestamp(), latest + interval '1 microsecond')
where id = $1
returning id as subject, (select origin from house), seq, head as prev, latest as at;

-- name: take_turns -> mailer.consent.events.Turn
-- Several at once of each subject; what is returned is the first of them.
update subject s
set seq = s.seq + said.events,
    latest = greatest(clock_timestamp(), s.latest + interval '1 microsecond')
             + (said.events - 1) * interval '1 microsecond'
from unnest($1::uuid[], $2::integer[]) as said (id, events)
where s.id = said.id
returning s.id as subject, (select origin from house), s.seq - said.events + 1 as seq,
          s.head as prev, s.latest - (said.events - 1) * interval '1 microsecond' as at;

-- name: append
with appended as (
    insert into consent_event
        (id, subject, seq, prev, commitment, at, type, newsletter, notice, body, staff)
    values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
)
update subject set head = $5 where id = $2;

-- name: move_heads
update subject s set head = said.head
from unnest($1::uuid[], $2::bytea[]) as said (id, head)
where s.id = said.id;

-- name: of_subject -> mailer.consent.events.Stored
select id, subject, seq, prev, commitment, at, type, newsletter, notice, body, leaf
from consent_event
where subject = $1
order by seq;

-- name: of_type -> mailer.consent.events.Stored
select id, subject, seq, prev, commitment, at, type, newsletter, notice, body, leaf
from consent_event
where subject = $1 and type = $2 and body is not null
order by seq;

-- name: matching -> mailer.consent.events.Matching
select e.id, e.subject, e.seq, e.prev, e.commitment, e.at, e.type, e.newsletter, e.notice, e.body,
       e.leaf, s.dek, p.address
from consent_event e
join subject s on s.id = e.subject
left join subscriber p on p.id = e.subject
where e.body is not null
  and s.dek is not null
  and ($1::text is null or e.newsletter = $1)
  and ($2::text is null or e.type = $2)
  and ($3::text is null or e.notice = $3)
  and ($4::timestamptz is null or e.at >= $4)
  and ($5::timestamptz is null or e.at < $5)
order by e.at, e.id;

-- name: count
select count(*)
from consent_event e
join subject s on s.id = e.subject
where e.body is not null
  and s.dek is not null
  and ($1::text is null or e.newsletter = $1)
  and ($2::text is null or e.type = $2)
  and ($3::text is null or e.notice = $3)
  and ($4::timestamptz is null or e.at >= $4)
  and ($5::timestamptz is null or e.at < $5);

-- name: extent
-- What there is to verify: events, and those of them that are in the log.
select count(*) + count(leaf) from consent_event;

-- name: chains -> mailer.consent.verification.Row
select e.id, e.subject, e.seq, e.prev, e.commitment, e.at, e.type, e.newsletter, e.notice, e.body,
       e.leaf, e.staff, s.dek, s.seq as last_seq, s.head, n.sha256 as notice_sha256
from consent_event e
join subject s on s.id = e.subject
left join notice n on n.id = e.notice
order by e.subject, e.seq;

-- name: headless -> mailer.consent.verification.Headless
select s.id, s.seq
from subject s
where s.seq > 0 and not exists (select from consent_event e where e.subject = s.id);

-- name: erase
select erase_subject($1);
