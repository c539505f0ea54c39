-- name: count
insert into hit (key, window_start, count)
values ($1, to_timestamp(floor(extract(epoch from now()) / $2::integer) * $2::integer), 1)
on conflict (key, window_start) do update set count = hit.count + 1
returning count;

-- name: reserve
insert into pace (name, at) values ($1, now() + $2::interval)
on conflict (name) do update set at = greatest(pace.at, now()) + $2::interval
returning extract(epoch from at - $2::interval - now())::float;

-- name: forget_old
delete from hit where window_start < now() - interval '1 day';
