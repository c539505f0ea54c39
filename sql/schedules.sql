-- name: put
insert into schedule (newsletter, cadence, cron, due_at) values ($1, $2, $3, $4)
on conflict (newsletter, cadence) do update set cron = excluded.cron, due_at = excluded.due_at;

-- name: remove
delete from schedule where newsletter = $1 and cadence = $2;

-- name: of -> mailer.schedules.Schedule
select newsletter, cadence, cron, due_at from schedule where newsletter = $1 order by cadence;

-- name: take_due -> mailer.schedules.Schedule
-- However many workers ask, one gets it: the others skip it while this transaction lasts, and then
-- it is not due any more.
select newsletter, cadence, cron, due_at
from schedule
where due_at <= now()
order by due_at
limit 1
for update skip locked;

-- name: put_off
update schedule set due_at = $3 where newsletter = $1 and cadence = $2;

-- name: now
select now();
