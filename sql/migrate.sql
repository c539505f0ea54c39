-- name: wait_for_our_turn
-- Two machines that migrate at once: the second finds the work done.
select pg_advisory_xact_lock(7016394);

-- name: keep_ledger
create table if not exists migration (
    number     integer primary key,
    name       text not null,
    sha256     text not null,
    applied_at timestamptz not null default now()
);

-- name: has_ledger
select to_regclass('migration') is not null;

-- name: applied -> mailer.migrate.Migration
select number, name, sha256 from migration order by number;

-- name: record
insert into migration (number, name, sha256) values ($1, $2, $3);
