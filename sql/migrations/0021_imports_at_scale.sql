-- Large lists: people are taken in by the hundred, and from a page of the staff.

-- LETTERS BEHIND THE OTHERS ----------------------------------------------------------------------

-- Letters that whoever asks for something themselves does not wait behind.
alter table batch add column behind boolean not null default false;
drop index batch_letters;
create index batch_letters on batch (behind, due_at, id) where worker is null and digest is null;

-- PROGRESS ---------------------------------------------------------------------------------------

-- How many had their turn: counted as they do, for a count of who waits reads all of a large list.
alter table import add column taken integer not null default 0;
update import i
set taken = greatest(staged - (select count(*) from import_line l where l.import = i.id), 0);
