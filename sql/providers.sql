-- name: limits -> mailer.providers.Limit
-- Each with this worker's share: all shares together are `most`.
with working as (
    select id, row_number() over (order by id) - 1 as place, count(*) over () as many
    from worker
    where seen_at > now() - interval '8 seconds'
), own as (
    select place, many from working where id = $1
    union all
    select 0, 1 where not exists (select from working where id = $1)
)
select p.name,
       (p.most / own.many + case when own.place < p.most % own.many then 1 else 0 end)::integer
           as share
from provider p, own;

-- name: halve
-- Once for all replies of one moment, or many connections would halve it many times.
insert into provider (name, most) values ($1, greatest(1, $2::integer / 2))
on conflict (name) do update
set most = greatest(1, provider.most / 2), taken = 0, changed_at = now()
where provider.changed_at < now() - interval '2 seconds';

-- name: widen
-- One more after each batch of successes as large as what may be on the way at once.
update provider
set most = most + case when taken + $2 >= most then 1 else 0 end,
    taken = case when taken + $2 >= most then 0 else taken + $2 end,
    changed_at = case when taken + $2 >= most then now() else changed_at end
where name = $1;

-- name: forget_wide
-- It takes as much as all workers, with $1 each, could ever send it: no limit is one.
delete from provider
where most >= $1 * (select count(*) from worker where seen_at > now() - interval '8 seconds');
