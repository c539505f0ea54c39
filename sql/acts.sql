-- name: listed -> mailer.acts.Row
select e.id, e.at, e.type, e.staff, e.subject, e.newsletter, s.dek, e.body
from consent_event e
join subject s on s.id = e.subject
where e.staff is not null
  and ($1::text is null or e.staff = $1)
  and case when $2::text is null then e.type <> all ($7::text[]) else e.type = $2 end
  and ($3::timestamptz is null or e.at >= $3)
  and ($4::timestamptz is null or e.at < $4)
  and ($5::uuid is null or (e.at, e.id) < (select b.at, b.id from consent_event b where b.id = $5))
order by e.at desc, e.id desc
limit $6;
