-- name: now
select now();
