-- stop
-- An older worker does not count who had their turn.
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

-- WHAT COMES OF THEM -----------------------------------------------------------------------------

-- Whether the line documents an earlier consent: who confirms a list is told how many are not asked.
alter table import_line add column agreed boolean not null default false;

-- FROM A PAGE ------------------------------------------------------------------------------------

-- A file that staff uploaded, until it is read to its end; a worker does that, from where the last
-- one came to.
create table import_file (
    import     integer primary key references import on delete cascade,
    bytes      bigint not null default 0,
    manner     jsonb,                             -- how it is read; null: nobody has said so yet
    language   text,
    documented boolean not null default false,
    worker     uuid references worker on delete set null,  -- who reads it
    lines      integer not null default 0,        -- read so far; and bytes
    read_bytes bigint not null default 0,
    problem    jsonb                              -- why it can't be read: a sentence and its values
);

-- Its content in pieces, sealed under the house's key, each for its own place.
create table import_piece (
    import integer not null references import_file on delete cascade,
    number integer not null,
    body   bytea not null,
    primary key (import, number)
);
alter table import_piece alter column body set storage external;  -- what is sealed can't be compressed

-- Lines that were left out, and why: a sentence and its values, which repeat nothing of the line.
create table import_fault (
    import   integer not null references import on delete cascade,
    line     integer not null,
    sentence text not null,
    named    jsonb not null
);
create index import_fault_order on import_fault (import, line);
