-- name: put
insert into schedule (newsletter, cadence, cron, due_at) values ($1, $2, $3, $4)
on conflict (newsletter, cadence) do update set cron = excluded.cron, due_at = excluded.due_at;

-- name: remove
delete from schedule where newsletter = $1 and cadence = $2;

-- name: of -> mailer.schedules.Schedule
select newsletter, cadence, cron, due_at from schedule where newsletter = $1 order by cadence;

-- name: take_due -> mailer.schedules.Schedule
-- However many workers ask: its newsletter is locked, so that the others skip it while this
-- transaction lasts; and whoever saw it just before learns from `put_off` that it is not due any more.
select s.newsletter, s.cadence, s.cron, s.due_at
from schedule s
join newsletter n on n.id = s.newsletter
where s.due_at <= now()
order by s.due_at
limit 1
for no key update of n skip locked;

-- name: put_off
update schedule set due_at = $3
where newsletter = $1 and cadence = $2 and due_at <= now()
returning true;

-- name: now
select now();
