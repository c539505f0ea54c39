-- name: count
insert into hit (key, window_start, count)
values ($1, to_timestamp(floor(extract(epoch from now()) / $2::integer) * $2::integer), 1)
on conflict (key, window_start) do update set count = hit.count + 1
returning count;

-- name: add
-- In the order of the keys, so that two who count the same never wait for each other in a ring.
insert into hit as h (key, window_start, count)
select key, to_timestamp(floor(extract(epoch from now()) / $3::integer) * $3::integer), count
from unnest($1::bytea[], $2::integer[]) as a (key, count)
order by key
on conflict (key, window_start) do update set count = h.count + excluded.count;

-- name: sliding -> mailer.limits.Weight
select k.key,
       coalesce(sum(h.count * case when h.window_start = w.begins then 1
                              else 1 - extract(epoch from now() - w.begins) / $2::integer end),
                0)::float as weight
from unnest($1::bytea[]) as k (key)
cross join (select to_timestamp(floor(extract(epoch from now()) / $2) * $2) as begins) w
left join hit h
    on h.key = k.key and h.window_start in (w.begins, w.begins - make_interval(secs => $2))
group by k.key;

-- name: reserve
-- Nobody waits behind more than a hundred turns like this one, or ten seconds of others: what was
-- taken further ahead was taken before the clock was set back.
insert into pace (name, at) values ($1, now() + $2::interval)
on conflict (name) do update
set at = least(greatest(pace.at, now()), now() + greatest(100 * $2::interval, interval '10 seconds'))
    + $2::interval
returning extract(epoch from at - $2::interval - now())::float;

-- name: forget_old
delete from hit where window_start < now() - interval '1 day';
