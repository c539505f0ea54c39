"""Answers of many mail servers, as they word them: which condemn the address and which do not."""

import pytest

from mailer.bounces.reading import read
from mailer.bounces.reasons import KINDS, judge, reply
from tests.test_bounces_reading import dsn

HARD = [
    ("550 5.1.1 <a@example.org>: Recipient address rejected: aol.com", "5.1.1"),
    ("550 5.1.1 RCP-P1 "
     "http://postmaster.example.com/response_codes?ip=192.0.2.1#rcp", "5.1.1"),
    ("550 5.1.10 RESOLVER.ADR.RecipientNotFound; Recipient not found by "
     "SMTP address lookup", "5.1.10"),
    ("550 5.1.1 RESOLVER.ADR.RecipNotFound; not found", "5.1.1"),
    ("550 5.1.351 Remote server returned unknown recipient or mailbox "
     "unavailable -> 550 5.1.1 no", "5.1.351"),
    ("550 5.4.310 DNS domain example.invalid does not exist "
     "[Message=InfoDomainNonexistent]", "5.4.310"),
    ("550 5.5.0 Requested action not taken: mailbox unavailable", "5.5.0"),
    ("550 5.5.0 Requested action not taken: mailbox unavailable "
     "(S2017062302). [AB1.eop]", "5.5.0"),
    ("554 delivery error: dd This user doesn't have a yahoo.com account "
     "(a@example.org) [0] - mta1", "5.0.0"),
    ("554 delivery error: dd Not a valid recipient - mta2.example.com", "5.0.0"),
    ("550 5.1.1 <a@example.org>: user lookup success but no user record found", "5.1.1"),
    ("550 5.1.6 recipient no longer on server: a@example.org", "5.1.6"),
    ("550 5.1.1 Adresse d au moins un destinataire invalide. Invalid "
     "recipient. OFR_416 [416]", "5.1.1"),
    ("550 5.1.1 Adresse d'au moins un destinataire invalide. Invalid "
     "recipient. LPN105_416", "5.1.1"),
    ("550 sorry, no mailbox here by that name (#5.1.1 - chkusr)", "5.1.1"),
    ("511 sorry, no mailbox here by that name (#5.1.1 - chkuser)", "5.1.1"),
    ("550 sorry, no mailbox here by that name. (#5.7.17)", "5.7.17"),
    ("553 sorry, this recipient is not in my validrcptto list (#5.7.1)", "5.7.1"),
    ("553 sorry, badrcptto (#5.7.1)", "5.7.1"),
    ("553 5.3.0 <a@example.org>... Addressee unknown, relay=[192.0.2.1]", "5.3.0"),
    ("550 5.1.1 Mailbox not found http://service.example.com/x", "5.1.1"),
    ("550 Unknown user a", "5.1.1"),
    ("550 no such user here", "5.1.1"),
    ("550 5.1.1 User does not exist - <a@example.org>", "5.1.1"),
    ("550 5.1.0 Address rejected. a@example.org", "5.1.0"),
    ("550 5.1.0 <a@example.org> Address rejected", "5.1.0"),
    ("550 Address rejected (in reply to RCPT TO command)", "5.0.0"),
    ("550 5.1.1 Address does not exist - psmtp", "5.1.1"),
    ("550 5.1.1 unknown or illegal alias: a@example.org", "5.1.1"),
    ("550 5.1.1 <a@example.org> is not a valid mailbox", "5.1.1"),
    ("554 Invalid recipient (in reply to RCPT TO command)", "5.0.0"),
    ("550 <a@example.org>, User unknown (in reply to RCPT TO command)", "5.0.0"),
    ("550 unknown recipient (in reply to RCPT TO command)", "5.0.0"),
    ("550 No such person at this address (in reply to RCPT TO command)", "5.0.0"),
    ("550 User not known (in reply to RCPT TO command)", "5.0.0"),
    ("550 #5.1.0 Address rejected. (in reply to RCPT TO command)", "5.1.0"),
    ("550 5.1.1 Invalid address", "5.1.1"),
    ("550 Recipient unknown", "5.1.1"),
    ("553 5.1.1 No such mailbox", "5.1.1"),
    ("550 Host unknown (Name server: host not found)", "5.1.2"),
    ("Host or domain name not found. Name service error for "
     "name=example.invalid type=A: Host not found", "5.4.4"),
    ("Name service error for example.invalid: Host not found", "5.1.2"),
    ("unrouteable mail domain \"example.invalid\"", "5.0.0"),
    ("Unrouteable address", "5.0.0"),
    ("all relevant MX records point to non-existent hosts", "5.0.0"),
    ("all host address lookups failed permanently", "5.0.0"),
    ("DNS Error: 1234 DNS type 'mx' lookup of example.invalid responded "
     "with code NXDOMAIN Domain name not found: example.invalid", "5.1.2"),
    ("553 5.1.2 unroutable domain", "5.1.2"),
    ("550 5.1.2 <a@example.invalid>... Host unknown (Name server: "
     "example.invalid: host not found)", "5.1.2"),
    ("Sorry, I couldn't find any host named example.invalid. (#5.1.2)", "5.1.2"),
    ("Domain example.invalid does not accept mail (nullMX)", "5.1.0"),
    ("556 5.1.10 Recipient address has null MX", "5.1.10"),
    ("5.1.0 - Unknown address error 550-'5.1.1 <a@example.org>: Recipient "
     "address rejected: User unknown' (delivery attempts: 0)", "5.1.0"),
    ("5.1.0 - Unknown address error 550-'No such user (a)' (delivery attempts: 0)", "5.1.0"),
    ("5.1.2 - Bad destination host 'DNS Hard Error looking up "
     "example.invalid (MX): NXDomain'", "5.1.2"),
    ("551 5.1.6 The user has moved; please try <b@example.net>", "5.1.6"),
    ("551 User not local; please try <b@example.net>", "5.1.6"),
    ("550 5.1.1 sorry, no such address here", "5.1.1"),
    ("550 5.1.1 user unknown; rejecting", "5.1.1"),
    ("550 5.1.1 No such user s3-20020a056512202300b004e48eb8ee34si115 - gsmtp", "5.1.1"),
    ("550-5.1.1 The email account that you tried to reach does not exist. "
     "Please try 550-5.1.1 double-checking the recipient's email address "
     "for typos or 550 5.1.1 unnecessary spaces.", "5.1.1"),
    ("550 Message was not accepted -- invalid mailbox. Local mailbox "
     "a@example.org is unavailable: user not found", "5.0.0"),
    ("550 5.7.1 No such user!", "5.7.1"),
    ("550 5.7.1 No such user! 1584097800-abc", "5.7.1"),
    ("550 user a not found", "5.0.0"),
    ("550 5.1.1 <a@example.org>: Recipient address rejected: undeliverable "
     "address: host mx.example.org[192.0.2.1] said: 550 5.1.1 "
     "<a@example.org> User unknown (in reply to RCPT TO command) (in reply "
     "to RCPT TO command)", "5.1.1"),
    ("550 5.1.1 <a@example.org>: Recipient address rejected: Undeliverable address", "5.1.1"),
    ("550 Benutzer unbekannt", "5.1.1"),
    ("550 Empfaengeradresse unbekannt", "5.1.1"),
    ("550 5.1.1 El usuario no existe", "5.1.1"),
    ("550 5.1.1 Usuário inexistente", "5.1.1"),
    ("550 宛先のユーザは存在しません", "5.1.1"),
    ("550 5.1.1 no mailbox by that name is currently available", "5.1.1"),
    ("User unknown", "5.1.1"),
    ("unknown user: a", "5.1.1"),
    ("550 5.1.1 user 'a' does not exist", "5.1.1"),
    ("550 Recipient not accepted by target (in reply to RCPT TO command)?", "5.1.1"),
    ("550 5.1.1 Recipient not found. <http://x.secureserver.net/IB603>", "5.1.1"),
    ("550 5.1.1 (code 11) Mailbox not found", "5.1.1"),
    ("550 5.1.3 malformed or unknown recipient", "5.1.3"),
    ("x; User a (a@example.org) not listed in Domino Directory", "5.0.0"),
    ("550 5.1.1 : Recipient address rejected: User unknown in virtual "
     "mailbox table", "5.1.1"),
    ("550 5.1.1 : Email address could not be found, or was misspelled (G8)", "5.1.1"),
    ("550 Sorry, unknown account (in reply to RCPT TO)", "5.1.1"),
    ("550 5.4.1 [a@example.org]: Recipient address rejected: Access denied "
     "[XX.prod.protection.outlook.com]", "5.4.1"),
    ("550 a@example.org is no longer valid", "5.1.1"),
    ("550 5.1.1 This email address is wrong or no longer valid. Please check", "5.1.1"),
    ("550 5.1.1 This address no longer accepts mail.", "5.1.1"),
    ("550 No mailbox by that name here", "5.1.1"),
]  # fmt: skip
"""Words, and the status that the report gives: the address is dead."""

SOFT = [
    ("552 5.2.2 mailbox full", "5.2.2"),
    ("550 5.2.1 mailbox disabled, not accepting messages", "5.2.1"),
    ("550 5.2.1 The email account that you tried to reach is inactive", "5.2.1"),
    ("554 delivery error: dd Sorry your message to a@example.org cannot be "
     "delivered. This account has been disabled or discontinued [#102]. - "
     "mta", "5.0.0"),
    ("554 30 Sorry, your message to a@example.org cannot be delivered. This "
     "mailbox is disabled (554.30)", "5.0.0"),
    ("550 5.4.316 Message expired, connection refused(Socket error code 10061)", "5.4.316"),
    ("550 5.4.312 Message expired, DNS query failed(ServerFailure)", "5.4.312"),
    ("550 5.7.708 Service unavailable. Access denied, traffic not accepted "
     "from this IP", "5.7.708"),
    ("421 4.7.0 [TSS04] Messages from 192.0.2.1 temporarily deferred due to "
     "user complaints", "4.7.0"),
    ("550 5.2.0 Mail rejete. Mail rejected. OFR_506 [506]", "5.2.0"),
    ("550 Mail content denied. http://service.example.com/x", "5.0.0"),
    ("552 5.2.2 <a@example.org>: user is overquota", "5.2.2"),
    ("451 Account inbounds disabled", "4.0.0"),
    ("451 4.3.0 <a@example.org>: Temporary lookup failure", "4.3.0"),
    ("connect to mx.example.org[192.0.2.1]:25: Connection refused", "4.4.1"),
    ("Host or domain name not found. Name service error for "
     "name=example.org type=MX: Host not found, try again", "4.4.3"),
    ("Name server: example.org.: host name lookup failure", "4.4.3"),
    ("Deferred: Connection timed out with mx.example.org.", "4.4.1"),
    ("delivery temporarily suspended: lost connection with mx.example.org "
     "while receiving the initial server greeting", "4.4.2"),
    ("550 account is suspended", "5.0.0"),
    ("550 account expired", "5.0.0"),
    ("550 5.2.1 <a@example.org> mailbox is temporarily locked", "5.2.1"),
    ("550 5.2.0 Mailbox is inactive", "5.2.0"),
    ("550 User has rejected your mail", "5.0.0"),
    ("550 mailing list: you are not a member", "5.0.0"),
    ("554 5.3.0 command died with status 1", "5.3.0"),
    ("unknown mailer error 1", "5.3.0"),
    ("X-Unix; 69 service unavailable", "5.0.0"),
    ("554 5.0.0 Service unavailable", "5.0.0"),
    ("554 Transaction failed", "5.0.0"),
    ("450 4.1.1 <a@example.org>: Recipient address rejected: unverified "
     "address: user unknown", "4.1.1"),
    ("452 4.2.2 The email account that you tried to reach is over quota", "4.2.2"),
    ("550 5.2.2 mailbox is over the size quota", "5.2.2"),
    ("550 <a@example.org> Quota exceed. The recipient mailbox has exceeded "
     "its limit", "5.0.0"),
    ("552 Mailbox limit exceeded for this email address", "5.0.0"),
    ("550 Mailbox has exceeded the limit", "5.0.0"),
    ("552 4.2.2 Le mailbox est pleine", "4.2.2"),
    ("550 Mailbox temporarily unavailable, user account locked", "5.0.0"),
    ("550 Unable to find valid MX record for sender domain", "5.0.0"),
    ("550 no such user (in reply to end of DATA command)", "5.0.0"),
    ("550 5.0.0 User unknown (in reply to end of DATA command)", "5.0.0"),
    ("550 permanent failure for one or more recipients (a@example.org:blocked)", "5.0.0"),
    ("550 5.3.2 STOREDRV.Deliver; mailbox is in quarantine", "5.3.2"),
    ("554 5.2.0 "
     "STOREDRV.Deliver.Exception:AccountDisabledException.MapiExceptionAccountDisabled; "
     "Failed to process message", "5.2.0"),
    ("554 5.2.2 mailbox full; STOREDRV.Deliver; mailbox full. The quota "
     "limit for this mailbox has been reached", "5.2.2"),
    ("550 4.4.7 QUEUE.Expired; message expired", "4.4.7"),
    ("550 4.4.7 QUEUE.Expired; message expired in unreachable destination "
     "queue. Reason: There is currently no route to the mailbox database.", "4.4.7"),
    ("550 5.4.4 ROUTING.NoConnectorForAddressType; unable to route for "
     "address type", "5.4.4"),
    ("550 5.7.520 Access denied, Your organization does not allow external "
     "forwarding", "5.7.520"),
    ("550 5.1.20 \"Multiple From addresses are not allowed without Sender "
     "address\"", "5.1.20"),
    ("550 5.7.705 Access denied, tenant has exceeded threshold", "5.7.705"),
    ("550 5.0.350 Remote server returned an error -> 554 5.7.1 rejected", "5.0.350"),
    ("554 Denied (Mode: normal)", "5.0.0"),
    ("550 unknown error", "5.0.0"),
    ("550 Message discarded: unknown reason", "5.0.0"),
    ("550 recipient's inbox storage limit reached", "5.0.0"),
    ("550 5.1.1 User unknown - account over quota", "5.1.1"),
    ("550 Recipient Rejected: Temporarily inactive (unactive)", "5.0.0"),
    ("550 Account has been disabled for non-use", "5.0.0"),
    ("550 5.1.1 <a@example.org>: Email Account Inactive", "5.1.1"),
    ("550 5.7.1 The recipient's mailbox is closed to outside mail", "5.7.1"),
]  # fmt: skip
"""The mailbox or its server has a trouble that may pass."""

POLICY = [
    ("550 5.7.1 Unable to relay", "5.7.1"),
    ("550 5.7.64 TenantAttribution; Relay Access Denied", "5.7.64"),
    ("550 5.7.133 RESOLVER.RST.SenderNotAuthenticatedForGroup; "
     "authentication required", "5.7.133"),
    ("550 5.7.124 RESOLVER.RST.NotAuthorizedToGroup; sender not in "
     "allowed-senders list", "5.7.124"),
    ("550 5.7.129 RESOLVER.RST.RestrictedToRecipientsPermission; not "
     "authorized to send to recipient", "5.7.129"),
    ("550 5.7.1 TRANSPORT.RULES.RejectMessage; the message was rejected by "
     "organization policy", "5.7.1"),
    ("550 5.4.14 Hop count exceeded - possible mail loop ATTR34", "5.4.14"),
    ("550 5.7.501 Access denied, spam abuse detected", "5.7.501"),
    ("550 5.1.8 Access denied, bad outbound sender AS(42004)", "5.1.8"),
    ("550 5.1.90 Your message can't be sent because you've reached your "
     "daily limit for message recipients", "5.1.90"),
    ("550 5.7.1 Service unavailable, Client host [192.0.2.1] blocked using "
     "Spamhaus", "5.7.1"),
    ("554 5.7.1 [BL21] Connections not accepted from servers on Spamhaus PBL", "5.7.1"),
    ("554 5.7.9 Message not accepted for policy reasons. See "
     "https://postmaster.example.com/error-codes", "5.7.9"),
    ("421 4.7.0 Trop de connexions, veuillez verifier votre configuration. "
     "Too many connections, slow down. OFR004_104 [104]", "4.7.0"),
    ("550 5.7.1 Adresse IP source bloquee pour incident de spam. Client "
     "host blocked for spamming issues. OFR006_102", "5.7.1"),
    ("550 Mail is rejected by recipients", "5.0.0"),
    ("550 Ip frequency limited", "5.0.0"),
    ("550 SPF check failed", "5.0.0"),
    ("550 Domain frequency limited", "5.0.0"),
    ("550 5.7.0 Blocked - see "
     "https://support.proofpoint.com/dnsbl-lookup.cgi?ip=192.0.2.1", "5.7.0"),
    ("554 5.7.1 [CS01] Message rejected due to local policy", "5.7.1"),
    ("550 Rejected by header based manually blocked senders", "5.0.0"),
    ("554 Email rejected due to security policies - https://community.example.com", "5.0.0"),
    ("550 csi.example.org Poor Reputation Sender.", "5.0.0"),
    ("550 5.4.5 Daily user sending limit exceeded", "5.4.5"),
    ("550 5.7.26 This mail has been blocked because the sender is unauthenticated", "5.7.26"),
    ("550 5.7.1 Our system has detected that this message is likely "
     "unsolicited mail", "5.7.1"),
    ("550-5.7.25 The IP address sending this message does not have a PTR "
     "record setup", "5.7.25"),
    ("550 Sender verify failed", "5.0.0"),
    ("550 Sender address rejected: Domain not found", "5.1.8"),
    ("450 4.1.8 <b@example.net>: Sender address rejected: Domain not found", "4.1.8"),
    ("553 5.1.8 <b@example.net>... Domain of sender address b@example.net "
     "does not exist", "5.1.8"),
    ("501 5.1.8 Sender domain must exist", "5.1.8"),
    ("550 Verification failed for <b@example.net> No Such User Here Sender "
     "verify failed", "5.0.0"),
    ("550 5.1.0 <b@example.net> sender rejected", "5.1.0"),
    ("550 Domain of sender does not resolve", "5.0.0"),
    ("550 <mx.example.net>: Helo command rejected: Host not found", "5.7.1"),
    ("450 4.7.1 <mx.example.net>: Helo command rejected: Host not found", "4.7.1"),
    ("550 5.7.1 <mx[192.0.2.1]>: Client host rejected: cannot find your hostname", "5.7.1"),
    ("451 4.7.1 Greylisting in action, please come back later", "4.7.1"),
    ("550 Greylisted, please try again in 300 seconds", "5.0.0"),
    ("450 4.2.0 <a@example.org>: Recipient address rejected: Greylisted", "4.2.0"),
    ("550 5.3.4 message size exceeds fixed maximum message size", "5.3.4"),
    ("554 5.6.0 message contains virus", "5.6.0"),
    ("554 5.7.1 <a@example.org>: Recipient address rejected: Access denied "
     "(policy)", "5.7.1"),
    ("554 5.4.6 Too many hops", "5.4.6"),
    ("554 5.4.6 hop count exceeded", "5.4.6"),
    ("550 5.4.6 mail for example.org loops back to myself", "5.4.6"),
    ("DNS server failure; host name lookup failed", "4.4.3"),
    ("550 relay not permitted", "5.0.0"),
    ("550 we do not relay", "5.7.1"),
    ("553 sorry, that domain isn't in my list of allowed rcpthosts (#5.7.1)", "5.7.1"),
    ("554 5.7.1 Message blocked due to spam content in the message.", "5.7.1"),
    ("550 High probability of spam", "5.0.0"),
    ("550 message looks like junk", "5.0.0"),
    ("550 5.7.1 Recipient does not accept mail from you; user rejected", "5.7.1"),
    ("550 5.7.1 You are not allowed to send to this recipient", "5.7.1"),
    ("550 Only members may post to this list", "5.0.0"),
    ("450 4.2.1 The user you are trying to contact is receiving mail at a "
     "rate that", "4.2.1"),
    ("550 Mail quota exceeded (in reply to RCPT TO command)", "5.0.0"),
    ("550 5.7.1 The sender's domain does not exist in DNS", "5.7.1"),
    ("550 No valid SPF record, unknown domain", "5.0.0"),
    ("550 5.7.23 SPF validation failed", "5.7.23"),
    ("550 invalid sender, user unknown (in reply to MAIL FROM command)", "5.0.0"),
    ("550 5.7.1 Access denied", "5.7.1"),
    ("550 Access denied - Invalid HELO name", "5.0.0"),
    ("550 5.7.511 Access denied, banned sender[192.0.2.1]", "5.7.511"),
    ("550 5.6.1 message rejected, no such format", "5.6.1"),
    ("550 5.5.1 Invalid domain name in HELO", "5.5.1"),
    ("501 5.5.4 Invalid domain name", "5.5.4"),
    ("503 5.5.1 RCPT first. A mail transaction protocol command was issued "
     "out of sequence", "5.5.1"),
    ("550 5.7.360 Remote server returned message denied by ... spam", "5.7.360"),
    ("550 the mailbox is unavailable because of spam", "5.0.0"),
    ("571 Message Refused", "5.7.1"),
    ("571 Delivery not authorized, message refused", "5.7.1"),
    ("550 5.7.1 Message refused by recipient's rules", "5.7.1"),
    ("554 5.7.1 This message has been blocked because the return email "
     "domain does not exist", "5.7.1"),
    ("550 Callback verification failed: no such user <b@example.net>", "5.0.0"),
    ("521 5.2.1 This cluster does not accept mail from you", "5.2.1"),
    ("550 5.7.1 Command rejected", "5.7.1"),
    ("553 5.3.0 <a@example.org>... Spam blocked see: http://spam.example.net", "5.3.0"),
    ("550 Denied by policy", "5.0.0"),
    ("550 Administrative prohibition", "5.0.0"),
    ("550 This message was classified as SPAM and may not be delivered", "5.0.0"),
    ("550 Invalid header: no such header in message", "5.0.0"),
    ("550 rejected: no valid DKIM; unknown sender domain", "5.0.0"),
]  # fmt: skip
"""It is about us, our mail or their rules."""

AT_RCPT = [
    "550 the address is not in our directory: user not found",
    "550 no such address here",
    "550 bad recipient address",
    "550 invalid user",
    "553 bad rcpt to",
    "550 user (a) unknown",
    "550 unknown local part in address",
    "550 there is no one at this address",
    "550 no account by that name here",
    "550 not a valid user here",
    "550 nonexistent user",
    "550 unknown mailbox",
    "550 addressee unknown",
    "550 no existe ese usuario",
    "550 nessun utente con questo nome",
    "550 utilisateur inconnu",
    "550 Empfänger unbekannt",
    "550 recipient was not found in our directory",
    "550 this user does not have an example account",
    "553 that domain or user isn't in my list of allowed rcpthosts",
    "553 this recipient is in my bad recipient to list",
    "550 user a is no longer with us",
    "550 mailbox not present",
    "550 address invalid",
    "550 RCPT <a> does not exist",
]  # fmt: skip
"""In answer to the address, and without a code that says so."""

NEVER = [
    "the recipient only accepts mail from addresses they know",
    "your message was refused because of the recipient's preferences",
    "new mail is not accepted for this mailbox at present, after long inactivity",
    "this account is protected by a challenge",
    "the user rejects your message",
    "you have been blocked by the recipient",
    "this mailbox is frozen",
    "account is currently suspended",
    "recipient rejected: temporarily inactive",
    "the mailbox is busy, unavailable",
    "user over quota, mailbox unavailable",
    "BATV failed to verify",
    "null sender is not allowed",
    "bogus mail from",
    "the sender's domain does not exist",
    "cannot verify sender: no such user",
    "invalid return address: user does not exist",
    "your host name does not exist",
    "client host name not found",
    "invalid HELO: unknown host",
    "no PTR record found, host unknown",
    "no such user - your mail looks like spam",
    "too many unknown users from your host",
    "too many invalid recipients in this session",
    "your address is listed as invalid",
    "address rejected: blocked domain",
    "bad header address",
    "invalid content type",
    "invalid attachment name",
    "no valid TLS certificate for the host",
    "no such file or directory",
    "account is not active",
    "message rejected: the user has not subscribed",
    "from: domain is invalid",
]  # fmt: skip
"""Words that sound like it; no code that is not about addresses makes them so."""


@pytest.mark.parametrize(("said", "status"), HARD)
def test_words_that_condemn_the_address(said: str, status: str) -> None:
    assert KINDS[judge(reply(said, status))] == "hard"


@pytest.mark.parametrize(("said", "status"), SOFT)
def test_words_about_what_may_pass(said: str, status: str) -> None:
    assert read(dsn(said, status)).kind == "soft"


@pytest.mark.parametrize(("said", "status"), POLICY)
def test_words_that_clear_the_person(said: str, status: str) -> None:
    assert KINDS[judge(reply(said, status))] == "policy"


@pytest.mark.parametrize("said", AT_RCPT)
def test_an_answer_to_the_address_is_believed(said: str) -> None:
    assert KINDS[judge(reply(f"{said} (in reply to RCPT TO command)"))] == "hard"
    assert KINDS[judge(reply(f"{said} (in reply to MAIL FROM command)"))] != "hard"
    assert KINDS[judge(reply(f"450{said[3:]} (in reply to RCPT TO command)"))] != "hard"


@pytest.mark.parametrize("said", NEVER)
def test_words_that_only_sound_like_it(said: str) -> None:
    for answer, status in (
        (f"550 {said} (in reply to RCPT TO command)", None),
        (f"550 {said}", "5.0.0"),
        (f"554 5.7.1 {said}", "5.7.1"),
    ):
        assert KINDS[judge(reply(answer, status))] != "hard", answer
