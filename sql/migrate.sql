-- name: wait_for_our_turn
-- Two machines that migrate at once: the second finds the work done.
select pg_advisory_xact_lock(7016394);

-- name: wait_for_migrations
select pg_advisory_xact_lock_shared(7016394);

-- name: give_up_soon
-- In milliseconds.
select set_config('lock_timeout', $1, true);

-- name: keep_ledger
create table if not exists migration (
    number     integer primary key,
    name       text not null,
    sha256     text not null,
    applied_at timestamptz not null default now()
);

-- name: keep_kinds
alter table migration add column if not exists
    kind       text not null default 'stop' check (kind in ('expand', 'stop'));

-- name: has_ledger
-- As this version keeps it.
select exists (
    select from pg_attribute where attrelid = to_regclass('migration') and attname = 'kind'
);

-- name: applied -> mailer.migrate.Migration
select number, name, sha256, kind from migration order by number;

-- name: record
insert into migration (number, name, sha256, kind) values ($1, $2, $3, $4);

-- name: running -> mailer.migrate.Running
-- Webs and workers with a connection to this database; and who gives no name, as those did before
-- they had one.
select distinct application_name as name,
       coalesce(host(client_addr), 'this machine') as host
from pg_stat_activity
where datname = current_database() and pid <> pg_backend_pid()
  and (application_name ~ '^mailer (serve|work|dev) '
       or application_name = '' and backend_type = 'client backend')
order by name, host;
