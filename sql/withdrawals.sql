-- name: now
select now();

-- name: left -> mailer.withdrawals.Withdrawal
select s.subscriber as subject, n.slug as newsletter, s.left_at as at, s.id
from subscription s
join newsletter n on n.id = s.newsletter
where s.state = 'left'
  and s.left_at >= $1::timestamptz
  and (s.left_at, s.id) > ($2::timestamptz, $3::bigint)
order by s.left_at, s.id
limit $4;

-- name: returned
-- Confirmed in spite of a withdrawal that this database has never seen.
select s.id
from unnest($1::uuid[], $2::text[], $3::timestamptz[]) as told (subject, newsletter, at)
join newsletter n on n.slug = told.newsletter
join subscription s on s.subscriber = told.subject and s.newsletter = n.id
where s.state = 'confirmed'
  and s.confirmed_at < told.at
  and not exists (
      select from consent_event e
      where e.subject = told.subject and e.newsletter = told.newsletter
        and e.type = 'consent.withdrawn' and e.at >= told.at
  );

-- name: never
-- Said by the person or by staff; bounces and complaints may be undone, and say it again.
select hash from suppression where reason in ('person', 'staff') and created_at >= $1::timestamptz;

-- name: suppress
insert into suppression (hash, reason)
select hash, 'person' from unnest($1::bytea[]) as told (hash)
on conflict do nothing;
