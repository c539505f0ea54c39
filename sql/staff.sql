-- name: add
insert into staff (id, lookup, address, role, password, language)
values ($1, $2, $3, $4, $5, $6);

-- name: listed -> mailer.staff.Account
select f.id, s.dek, f.address, f.role, f.language, f.disabled_at, f.created_at
from staff f
join subject s on s.id = f.id
order by f.created_at;
