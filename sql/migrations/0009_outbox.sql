-- With this index, which holds what settling changes, the second version of every mail's row would
-- be written into all of the table's indexes. Letters are forgotten by outbox_letters_made.
drop index outbox_letters_settled;
