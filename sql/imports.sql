-- name: begin
insert into import (newsletter, notices, created_by) values ($1, $2, $3) returning id;

-- name: touch
update import
set touched_at = now(), staged = staged + $2, suppressed = suppressed + $3
where id = $1;

-- name: drop_repeated
with ranked as (
    select id, row_number() over (partition by lookup order by number) as place
    from import_line
    where import = $1
), gone as (
    delete from import_line l using ranked r where l.id = r.id and r.place > 1 returning 1
)
update import set repeated = count, staged = staged - count
from (select count(*) from gone) counted
where id = $1;

-- name: close
update import
set sha256 = $2, wrong = wrong + $3, passed = passed + $4, touched_at = now()
where id = $1 and state = 'reading';

-- name: outlook -> mailer.imports.Outlook
select count(*) filter (where s.state is null and p.restricted_at is null and not l.agreed) as fresh,
       count(*) filter (where s.state is null and p.restricted_at is null and l.agreed) as vouched,
       count(*) filter (where s.state in ('pending', 'confirmed')
                        or (s.state is null and p.restricted_at is not null)) as known,
       count(*) filter (where s.state = 'left') as gone
from import_line l
join import i on i.id = l.import
left join subscriber p on p.lookup = l.lookup
left join subscription s on s.subscriber = p.id and s.newsletter = i.newsletter
where l.import = $1;

-- name: went_before
select max(o.started_at)
from import o
join import i on i.newsletter = o.newsletter and i.sha256 = o.sha256
where i.id = $1 and o.id <> i.id and o.started_at is not null;

-- name: start
update import set state = 'going', started_at = now()
where id = $1 and state = 'reading' and sha256 is not null
returning true;

-- name: stop
update import set state = 'stopped', finished_at = now()
where id = $1 and state in ('reading', 'going')
returning true;

-- name: drop
delete from import where id = $1 and state = 'reading' returning true;

-- name: drop_all
with gone as (delete from import_line where import = $1 returning 1)
select count(*) from gone;

-- name: all -> mailer.imports.Import
select i.id, n.slug as newsletter, i.state, i.sha256 is not null as whole, i.staged,
       case when i.state in ('reading', 'going') then i.staged - i.taken else 0 end as waiting,
       i.wrong, i.passed, i.repeated, i.suppressed, i.asked, i.confirmed, i.known, i.gone, i.capped,
       i.created_by, i.created_at, i.started_at, i.finished_at
from import i
join newsletter n on n.id = i.newsletter
where $1::integer is null or i.id = $1
order by i.id desc;

-- name: forget
delete from import_line where lookup = $1;

-- name: forget_abandoned
delete from import where state = 'reading' and touched_at < now() - $1::interval;

-- name: keep_file
insert into import_file (import) values ($1);

-- name: put_piece
with put as (
    insert into import_piece (import, number, body) values ($1, $2, $3)
), touched as (
    update import set touched_at = now() where id = $1
)
update import_file set bytes = bytes + $4 where import = $1;

-- name: piece
select body from import_piece where import = $1 and number = $2;

-- name: file -> mailer.imports.files.File
select import as id, bytes, manner, language, documented, lines, read_bytes, problem
from import_file
where import = $1;

-- name: tell
-- Once; or once more, if it could not be read as was said before.
update import_file
set manner = $2, language = $3, documented = $4, lines = 0, read_bytes = 0, problem = null
where import = $1 and (manner is null or problem is not null)
returning true;

-- name: claim_file -> mailer.imports.files.Claimed
update import_file f
set worker = $1
from import i
where i.id = f.import and f.import = (
    select o.import
    from import_file o
    join import p on p.id = o.import
    where o.manner is not null and o.problem is null and p.sha256 is null and p.state = 'reading'
      and (o.worker is null or o.worker = $1)
    order by o.import
    limit 1
    for update of o skip locked
)
returning f.import as id, f.manner, f.language, f.documented, f.lines, i.newsletter, i.notices;

-- name: hold
-- Before its file, as whoever drops it.
select from import where id = $1 for update;

-- name: move_file
update import_file set lines = greatest(lines, $3), read_bytes = $4 where import = $1 and worker = $2
returning true;

-- name: leave_out
update import set wrong = wrong + $2, passed = passed + $3 where id = $1;

-- name: break_off
update import_file set problem = $3, worker = null where import = $1 and worker = $2
returning true;

-- name: begin_anew
with gone as (
    delete from import_line where import = $1
), forgotten as (
    delete from import_fault where import = $1
)
update import set staged = 0, suppressed = 0, wrong = 0, passed = 0, repeated = 0 where id = $1;

-- name: drop_pieces
delete from import_piece where import = $1;

-- name: put_faults
insert into import_fault (import, line, sentence, named)
select $1, line, sentence, named
from jsonb_to_recordset($2::jsonb) as f (line integer, sentence text, named jsonb);

-- name: faults -> mailer.imports.files.Fault
select line, sentence, named from import_fault where import = $1 order by line limit $2;

-- name: crowded
select count(*) > $1::integer
from (
    select from batch where worker is null and digest is null and behind limit $1::integer + 1
) waiting;

-- name: going -> mailer.imports.Going
-- One worker at a time takes one in, so that the last to take finds no line that another has yet.
select id, newsletter, notices, sha256, created_by, started_at
from import
where state = 'going'
order by id
limit 1
for update skip locked;

-- name: take -> mailer.imports.Staged
with taken as (
    delete from import_line
    where id in (select id from import_line where import = $1 order by lookup limit $2)
    returning id, number, dek, payload, lookup
)
select id, number, dek, payload from taken order by lookup;

-- name: count
update import
set taken = taken + $9, asked = asked + $2, confirmed = confirmed + $3, suppressed = suppressed + $4,
    known = known + $5, gone = gone + $6, capped = capped + $7, wrong = wrong + $8,
    touched_at = now()
where id = $1;

-- name: finish
update import set state = 'done', finished_at = now() where id = $1;
