-- name: begin -> mailer.renewals.Renewal
insert into renewal (newsletter, answer_by, created_by)
values ($1, $2, $3)
on conflict (newsletter) where ended_at is null do nothing
returning id, newsletter, answer_by, created_by, created_at, ended_at;

-- name: is_far_enough
select $1::timestamptz >= now() + $2::interval;

-- name: stop
update renewal set ended_at = now() where newsletter = $1 and ended_at is null returning id;

-- name: outdated
-- How many confirmed under words that are not current in any language.
select count(*)
from subscription s
where s.newsletter = $1 and s.state = 'confirmed'
  and s.notice not in (
      select distinct on (language) id
      from notice
      where (newsletter = $1 or newsletter is null) and valid_from <= now()
      order by language, newsletter nulls last, valid_from desc
  );

-- name: running -> mailer.renewals.Renewal
-- Those that may still ask: who is asked has at least $1 to answer.
select id, newsletter, answer_by, created_by, created_at, ended_at
from renewal
where ended_at is null and answer_by > now() + $1::interval
order by id;

-- name: ask
-- Up to $3 who were not asked yet, in the words current in their language; under the caps of all
-- letters: none in the last $4 about this newsletter, and fewer than $5 about all.
with current as (
    select distinct on (language) language, id
    from notice
    where (newsletter = $2 or newsletter is null) and valid_from <= now()
    order by language, newsletter nulls last, valid_from desc
), due as (
    select s.id, c.id as notice
    from subscription s
    join current c on c.language = s.language
    where s.newsletter = $2 and s.state = 'confirmed'
      and s.notice not in (select id from current)
      and (s.mailed_at is null or s.mailed_at <= now() - $4::interval)
      and (
          select count(*) from subscription m
          where m.subscriber = s.subscriber and m.mailed_at > now() - $4::interval
      ) < $5
      and not exists (
          select from renewal_asked a where a.renewal = $1 and a.subscription = s.id
      )
    order by s.id
    limit $3
    for update of s skip locked
), asked as (
    insert into renewal_asked (renewal, subscription, notice)
    select $1, id, notice from due
    on conflict do nothing
    returning subscription
)
update subscription s set mailed_at = now()
from asked
where s.id = asked.subscription
returning s.id;

-- name: asked -> mailer.renewals.Asked
-- What a subscription is asked at present.
select a.renewal, a.subscription, a.notice, a.asked_at, r.answer_by
from renewal_asked a
join renewal r on r.id = a.renewal
join subscription s on s.id = a.subscription
where a.subscription = $1 and r.ended_at is null and a.outcome is null
  and s.state = 'confirmed' and s.confirmed_at < a.asked_at;

-- name: last_asked -> mailer.renewals.Asked
select a.renewal, a.subscription, a.notice, a.asked_at, r.answer_by
from renewal_asked a
join renewal r on r.id = a.renewal
where a.subscription = $1
order by a.renewal desc
limit 1;

-- name: overdue -> mailer.renewals.Asked
-- `skip locked`: who is just answering has answered in time.
select o.renewal, o.subscription, o.notice, o.asked_at, o.answer_by
from renewal_overdue o
join subscription s on s.id = o.subscription
order by s.id
limit $1
for update of s skip locked;

-- name: settle
update renewal_asked set outcome = $3 where renewal = $1 and subscription = $2;

-- name: end_done
update renewal r set ended_at = now()
where r.ended_at is null and r.answer_by <= now()
  and not exists (select from renewal_overdue o where o.renewal = r.id)
returning r.newsletter;

-- name: listed -> mailer.renewals.Summary
select r.id, n.slug as newsletter, r.answer_by, r.created_by, r.created_at, r.ended_at,
       count(a.subscription)::integer as asked,
       (count(*) filter (where a.outcome = 'renewed'))::integer as renewed,
       (count(*) filter (where a.outcome = 'expired'))::integer as expired,
       (count(*) filter (where a.outcome is null and s.state = 'left'))::integer as left,
       (count(*) filter (where a.outcome is null and s.state <> 'left'))::integer as silent
from renewal r
join newsletter n on n.id = r.newsletter
left join renewal_asked a on a.renewal = r.id
left join subscription s on s.id = a.subscription
group by r.id, n.slug
order by r.id desc;
