-- What the first page of the desk tells of, and can't see by itself.

-- What DNS says of the sending domain, when a worker looked last. One row.
create table domain_look (
    one       boolean primary key default true check (one),
    due_at    timestamptz not null,               -- when one looks again
    looked_at timestamptz,
    wrong     jsonb not null default '[]'         -- [["what was looked at", "what is wrong with it"], …]
);

-- When a backup was last made. One row.
create table backup_made (
    one boolean primary key default true check (one),
    at  timestamptz not null default now()
);

-- A digest that its schedule has made, and that waits to be approved, is one of the things that staff
-- are written to about.
alter table trouble
    drop constraint trouble_kind_check,
    add constraint trouble_kind_check check (kind in
        ('failing', 'gone', 'held', 'silent', 'waiting', 'ready', 'storm', 'complaints',
         'many-complaints', 'flood'));
