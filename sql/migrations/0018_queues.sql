-- The queues of requests: who has proven something comes first, then whose network has asked least.
drop index request_prompt;
create index request_prompt on request (proven desc, weight, created_at) where not slow;
