-- name: clear
-- A group whose last reader was erased today has no row any more to count.
update census set pending = 0, confirmed = 0
where day = (now() at time zone 'UTC')::date;

-- name: take
insert into census (day, newsletter, language, pending, confirmed, left_count)
select (now() at time zone 'UTC')::date, newsletter, language,
       count(*) filter (where state = 'pending'),
       count(*) filter (where state = 'confirmed'),
       count(*) filter (where state = 'left'
           and left_at >= date_trunc('day', now() at time zone 'UTC') at time zone 'UTC')
from subscription
group by newsletter, language
on conflict (day, newsletter, language) do update
set pending = excluded.pending, confirmed = excluded.confirmed,
    left_count = greatest(census.left_count, excluded.left_count);

-- name: over -> mailer.census.Day
select day, sum(pending)::integer as pending, sum(confirmed)::integer as confirmed,
       sum(left_count)::integer as gone
from census
where day > (now() at time zone 'UTC')::date - $1::integer
  and ($2::integer is null or newsletter = $2)
  and ($3::text is null or language = $3)
group by day
order by day;

-- name: groups -> mailer.census.Group
select c.newsletter, c.language,
       coalesce(max(c.pending) filter (where c.day = latest.day), 0) as pending,
       coalesce(max(c.confirmed) filter (where c.day = latest.day), 0) as confirmed,
       sum(c.left_count)::integer as gone
from census c
cross join (select max(day) as day from census) latest
where c.day > latest.day - 30
group by c.newsletter, c.language
order by c.newsletter, confirmed desc, c.language;

-- name: outcomes -> mailer.census.Outcome
-- Ended batches are in a digest's totals; of those nobody has touched, all mails wait, untried.
select d.newsletter, d.number, d.state, d.approved_at,
       d.sent + coalesce(o.sent, 0) as delivered,
       coalesce(o.deferred, 0) as deferred,
       d.failed + coalesce(o.failed, 0) + coalesce(b.bounced, 0) as bounced,
       (select count(*) from subscription s
        where s.newsletter = d.newsletter and s.state = 'left' and s.left_at >= d.approved_at
          and s.left_at < d.approved_at + $1::interval) as gone
from (
    select * from digest
    where state in ('sending', 'paused', 'sent')
    order by approved_at desc, id desc
    limit $2
) d
left join lateral (
    select count(*) filter (where m.state = 'sent') as sent,
           count(*) filter (where m.state = 'failed') as failed,
           count(*) filter (where m.state = 'waiting' and m.attempts > 0) as deferred
    from batch t
    join outbox m on m.batch = t.id
    where t.digest = d.id and t.touched
) o on true
left join lateral (
    select count(*) as bounced
    from bounce r
    -- what was refused at the door is among the failed ones
    where r.digest = d.id and r.kind in ('hard', 'soft', 'policy') and r.channel <> 'smtp'
) b on true
order by d.approved_at desc, d.id desc;
