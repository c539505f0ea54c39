-- expand
-- A mail that is put now is due at once, whatever the clock says later: set back an hour, it would
-- wait for an hour. Only what is tried again is due at a time.
alter table batch alter column due_at set default '-infinity';
