-- name: ask
-- One at a time: asking anew ends the link mailed before.
insert into address_change (subscriber, handle, address, lookup, language, actor, expires_at)
values ($1, $2, $3, $4, $5, $6, now() + $7::interval)
on conflict (subscriber) do update
set handle = excluded.handle, address = excluded.address, lookup = excluded.lookup,
    language = excluded.language, actor = excluded.actor, asked_at = clock_timestamp(),
    expires_at = excluded.expires_at, confirmed_at = null;

-- name: by_handle -> mailer.rectification.Change
select c.subscriber, c.handle, c.address, c.language, c.actor, c.asked_at,
       extract(epoch from now() - c.asked_at)::integer as seconds, c.confirmed_at, s.dek
from address_change c
join subject s on s.id = c.subscriber
where c.handle = $1 and c.expires_at > now();

-- name: end
-- It stays for as long as its link holds, so that a second click is told that it is done.
update address_change set confirmed_at = now() where subscriber = $1;

-- name: forget
delete from address_change where subscriber = $1;
