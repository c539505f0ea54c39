-- name: tables -> mailer.backups.Table
-- Everything but what says who is working just now; columns that name those are left empty.
select c.relname::text as name,
       array_agg(a.attname::text order by a.attnum) as columns,
       coalesce(array_agg(a.attname::text order by a.attnum) filter (where exists (
           select from pg_constraint f
           join pg_class p on p.oid = f.confrelid
           where f.contype = 'f' and f.conrelid = c.oid and f.conkey = array[a.attnum]
             and p.relname = any ($1::text[])
       )), '{}') as emptied
from pg_class c
join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
    and a.attgenerated = ''
where c.relkind in ('r', 'p') and not c.relispartition
  and c.relnamespace = 'public'::regnamespace
  and c.relname <> all ($1::text[])
group by c.oid, c.relname
order by c.relname;

-- name: needs -> mailer.backups.Need
-- Rows of `name` can only be there when those of `before` are.
select distinct c.relname::text as name, p.relname::text as before
from pg_constraint f
join pg_class c on c.oid = f.conrelid
join pg_class p on p.oid = f.confrelid
where f.contype = 'f' and c.oid <> p.oid and c.relnamespace = 'public'::regnamespace;

-- name: sequences -> mailer.backups.Counter
select sequencename::text as name, last_value as value
from pg_sequences
where schemaname = 'public' and last_value is not null;

-- name: go_on_after
select setval(quote_ident($1)::regclass, $2);

-- name: is_empty
select not exists (
    select from pg_class
    where relnamespace = 'public'::regnamespace and relkind in ('r', 'p', 'v', 'm', 'S')
);

-- name: unseed
-- What a migration has put there: the backup brings its own.
delete from house;

-- name: now
select now();

-- name: to_create
-- The statement that makes a database, for a name can't be a parameter there.
select format('create database %I template template0', $1::text);

-- name: to_drop
select format('drop database if exists %I with (force)', $1::text);

-- name: note
insert into backup_made default values on conflict (one) do update set at = now();

-- name: overdue
-- When it was made, if that is longer ago than this.
select at from backup_made where at < now() - $1::interval;
