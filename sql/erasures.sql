-- name: now
select now();

-- name: erased
select id from subject
where erased_at is not null
  and ($1::timestamptz is null or erased_at >= $1)
  and ($2::uuid is null or id > $2)
order by id
limit $3;

-- name: returned
select id from subscriber where id = any ($1::uuid[]) order by id;
