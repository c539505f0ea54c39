-- name: keep
-- What is over is forgotten, and what is new begins now.
with present as (
    select * from unnest($1::text[], $2::text[]) as present (kind, about)
), over as (
    delete from trouble t
    where not exists (select from present p where p.kind = t.kind and p.about = t.about)
)
insert into trouble (kind, about)
select kind, about from present
order by kind, about
on conflict do nothing;

-- name: due
-- Whom to tell: those of the roles ($1) who had no letter for a day, if there is something that began
-- since their last. Of two workers that ask at once, one is given them.
insert into trouble_told (staff)
select f.id
from staff f
left join trouble_told told on told.staff = f.id
where f.role = any ($1::text[]) and f.disabled_at is null
  and exists (select from trouble t where told.at is null or t.since > told.at)
order by f.id
on conflict (staff) do update set at = now() where trouble_told.at < now() - interval '1 day'
returning staff;
