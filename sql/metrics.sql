-- name: newsletters -> mailer.metrics.Sample
select array[n.slug, s.state] as labels, count(*)::float as value
from subscription s
join newsletter n on n.id = s.newsletter
group by 1;

-- name: requests -> mailer.metrics.Sample
select '{}'::text[] as labels, count(*)::float as value from request;

-- name: requests_age -> mailer.metrics.Sample
select '{}'::text[] as labels,
       coalesce(extract(epoch from now() - min(created_at)), 0)::float as value
from request;

-- name: outbox -> mailer.metrics.Sample
-- Letters one by one; of digests the batches, which are few: at most one batch too many each worker.
select array[kind] as labels, sum(mails)::float as value
from (
    select o.kind, count(*) as mails
    from batch b
    join outbox o on o.batch = b.id and o.state = 'waiting'
    where b.digest is null
    group by o.kind
    union all
    select 'digest', coalesce(sum(b.mails), 0) from batch b where b.digest is not null
) waiting
group by kind;

-- name: outbox_age -> mailer.metrics.Sample
select array[kind] as labels, max(seconds)::float as value
from (
    select o.kind, extract(epoch from now() - min(o.created_at)) as seconds
    from batch b
    join outbox o on o.batch = b.id and o.state = 'waiting'
    where b.digest is null
    group by o.kind
    union all
    select 'digest', extract(epoch from now() - min(d.approved_at))
    from digest d
    where d.state = 'sending'
) waiting
where seconds is not null
group by kind;

-- name: verdicts -> mailer.metrics.Sample
select array[provider, what] as labels, sum(count)::float as value
from tally
group by provider, what;

-- name: digests -> mailer.metrics.Sample
select array[state] as labels, count(*)::float as value from digest group by state;

-- name: workers -> mailer.metrics.Sample
select '{}'::text[] as labels, count(*)::float as value
from worker
where seen_at > now() - interval '8 seconds';

-- name: log_waiting -> mailer.metrics.Sample
select '{}'::text[] as labels, count(*)::float as value from consent_event where leaf is null;

-- name: log_age -> mailer.metrics.Sample
select '{}'::text[] as labels,
       coalesce(extract(epoch from now() - min(at)), 0)::float as value
from consent_event
where leaf is null;

-- name: log_objections -> mailer.metrics.Sample
select '{}'::text[] as labels, count(*)::float as value from log_objection;

-- name: alarms -> mailer.metrics.Sample
select array[kind] as labels, count(*)::float as value
from alarm
where lifted_at is null
group by kind;
