-- name: latest_day
-- That it is anywhere on earth.
select (now() at time zone 'utc' + interval '14 hours')::date;

-- name: keep
insert into subject_request (subject, asks, road, received_on, details, recorded_by)
values ($1, $2, $3, $4, $5, $6)
returning id;

-- name: keep_done
-- What somebody did on their own page needs no answer.
insert into subject_request
    (subject, asks, road, received_on, recorded_by, outcome, closed_by, closed_at)
values ($1, array[$2::text], 'page', (now() at time zone 'utc')::date, $3, 'done', $3, now());

-- name: get -> mailer.subject_requests.Request
select * from subject_request_seen where id = $1;

-- name: lock
select id from subject_request where id = $1 for update;

-- name: of_subject -> mailer.subject_requests.Request
select * from subject_request_seen where subject = $1 order by received_on, id;

-- name: open -> mailer.subject_requests.Request
-- What was due first comes first, so what is overdue does. $5: that alone.
select *
from subject_request_seen
where closed_at is null
  and ($1::text is null or $1 = any (asks))
  and ($2::text is null or road = $2)
  and ($3::integer is null
       or (due_on, id) > (select b.due_on, b.id from subject_request b where b.id = $3))
  and (days_left < 0 or not $5::boolean)
order by due_on, id
limit $4;

-- name: closed -> mailer.subject_requests.Request
select *
from subject_request_seen
where closed_at is not null
  and ($1::text is null or $1 = any (asks))
  and ($2::text is null or road = $2)
  and ($3::integer is null
       or (closed_at, id) < (select b.closed_at, b.id from subject_request b where b.id = $3))
order by closed_at desc, id desc
limit $4;

-- name: extend
update subject_request set extended_at = now(), details = $2 where id = $1;

-- name: close
update subject_request
set outcome = $2, closed_by = $3, closed_at = now(), details = $4
where id = $1;

-- name: pressing -> mailer.subject_requests.Pressing
select count(*) filter (where due_on < (now() at time zone 'utc')::date) as overdue,
       count(*) filter (where due_on >= (now() at time zone 'utc')::date) as soon
from subject_request
where closed_at is null and due_on <= (now() at time zone 'utc')::date + $1::integer;
