-- name: look -> mailer.floods.Seen
-- Forms by newsletter and over all (null) in the last minutes; and of the latest thousand who were
-- mailed within $2, but not in the last $3, how many have confirmed.
with form as (
    select n.id, coalesce(sum(h.count), 0) as forms
    from newsletter n
    left join hit h on h.key = convert_to('forms ' || n.id, 'UTF8')
        and h.window_start > now() - $1::interval
    group by n.id
), letter as (
    select subscription from outbox
    where digest is null and kind = 'confirm'
      and created_at between now() - $2::interval and now() - $3::interval
    order by created_at desc
    limit 1000
), answer as (
    select s.newsletter, count(*) as asked, count(*) filter (where s.state = 'confirmed') as answered
    from letter l
    join subscription s on s.id = l.subscription
    group by s.newsletter
)
select form.id as newsletter, coalesce(sum(form.forms), 0)::integer as forms,
       coalesce(sum(answer.asked), 0)::integer as asked,
       coalesce(sum(answer.answered), 0)::integer as answered,
       exists (select from flood f where f.newsletter is not distinct from form.id) as on
from form
left join answer on answer.newsletter = form.id
group by grouping sets ((form.id), ());

-- name: keep
insert into flood (newsletter, forms, asked, answered) values ($1, $2, $3, $4)
on conflict (newsletter) do update
set forms = excluded.forms, asked = excluded.asked, answered = excluded.answered, seen_at = now();

-- name: end
delete from flood where newsletter is not distinct from $1::integer;

-- name: on -> mailer.floods.Flood
select f.newsletter as id, n.slug as newsletter, f.forms, f.asked, f.answered, f.since
from flood f
left join newsletter n on n.id = f.newsletter
where f.seen_at > now() - $1::interval
order by f.since, f.newsletter;
