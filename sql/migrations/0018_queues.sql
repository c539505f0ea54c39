-- The queues of requests: who has proven something comes first, then whose network has asked least.
drop index request_prompt;
create index request_prompt on request (proven desc, weight, created_at) where not slow;

-- A flood of forms is one of the things that staff are written to about.
alter table trouble
    drop constraint trouble_kind_check,
    add constraint trouble_kind_check check (kind in
        ('failing', 'gone', 'held', 'silent', 'waiting', 'storm', 'complaints', 'many-complaints',
         'flood'));
