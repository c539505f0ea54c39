-- Two roles that may do what `mailer serve` and `mailer work` do, and no more. Run it as the owner
-- of the database, again after each `mailer migrate`:
--
--     psql "$OWNER_URL" -f sql/roles.sql
--     psql "$OWNER_URL" -c "create user web_1 password '…' in role mailer_web"
--     psql "$OWNER_URL" -c "create user work_1 password '…' in role mailer_worker"
--
-- Then name those users in MAILER_DATABASE_URL of the web processes and of the workers. Commands at
-- a terminal (migrate, keys rotate, imports, exports …) go on as the owner.
--
--     table                      web               worker            because
--     consent_event              read, add         read, add         nobody changes or removes events;
--                                                                    sealing and erasing are functions
--     subject                    read, add, chain  read, add, chain  its key is destroyed by erasing
--     notice                     read, add         read, add         a published version never changes
--     vault_key, house           read, add keys    read, add keys    keys are replaced by the owner
--     log_tile, log_checkpoint,  read              read, grow        only workers seal
--     log_objection
--     worker                     read              all
--     staff, session,            all               read              accounts are made on pages; letters
--     recovery_code, passkey,                                        to staff are made by workers
--     staff_link
--     migration                  read              read              the owner migrates
--     everything else            all               all               the service's working memory
--
-- "Chain" is to take the next place in a subject's chain of events; "all" is to read, add, change
-- and remove rows. Nobody may truncate, and nobody but the owner disables a trigger.

do $$
declare
    each text;
begin
    foreach each in array array['mailer_web', 'mailer_worker'] loop
        begin
            execute format('create role %I nologin', each);
        exception when duplicate_object or unique_violation then
            null;  -- it was made for another database of this server
        end;
    end loop;
    for each in
        select tablename from pg_tables
        where schemaname = 'public'
          and tablename not in ('consent_event', 'subject', 'notice', 'vault_key', 'house',
                                'log_tile', 'log_checkpoint', 'log_objection', 'worker', 'staff',
                                'session', 'recovery_code', 'passkey', 'staff_link', 'migration')
    loop
        execute format('grant select, insert, update, delete on %I to mailer_web, mailer_worker',
                       each);
    end loop;
end $$;

grant select on all tables in schema public to mailer_web, mailer_worker;

grant insert on consent_event, subject, notice, vault_key to mailer_web, mailer_worker;
grant update (seq, head, latest) on subject to mailer_web, mailer_worker;
grant delete on subject to mailer_web, mailer_worker;  -- only of those without events: see its keys
grant execute on function erase_subject(uuid) to mailer_web, mailer_worker;

grant insert, update, delete on staff, session, recovery_code, passkey, staff_link to mailer_web;

grant insert, update, delete on worker, log_objection to mailer_worker;
grant insert, update on log_tile, log_checkpoint to mailer_worker;
grant execute on function seal_events(uuid[], bigint) to mailer_worker;
