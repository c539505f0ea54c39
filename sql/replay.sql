-- name: now
select now();

-- name: told -> mailer.replay.Told
select e.subject, s.dek, e.seq, e.id, e.body
from consent_event e
join subject s on s.id = e.subject
where e.type = any ($1::text[]) and e.body is not null and s.dek is not null
order by e.subject, e.seq;

-- name: held -> mailer.replay.Held
select s.subscriber as subject, n.slug as newsletter, s.state, s.language, s.cadence, s.notice,
       s.confirmed_at is not null as proven, s.paused_until as paused
from subscription s
join newsletter n on n.id = s.newsletter
order by s.subscriber, n.slug;
