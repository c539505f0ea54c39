"""The words of mail servers: what Postfix, Sendmail, Exim, qmail, Exchange, Domino and the large
providers document or have in their source, in the languages in which they say it.
"""

import re


def words(*lines: str) -> re.Pattern[str]:
    return re.compile("|".join(lines), re.IGNORECASE)


PHRASES: tuple[tuple[str, re.Pattern[str]], ...] = (
    # What clears the person: it speaks of us, of our mail, or of this moment.
    (
        "authentication",
        words(
            r"\bdmarc\b",
            r"\bdkim\b",
            r"\bspf\b",
            r"sender policy framework",
            r"authentication (?:checks?|requirements?|results?|failed|failure|required)",
            r"notauthenticated",
            r"authenticationrequired",
            r"unauthenticated (?:e-?mail|mail|sender)",
            r"fails? to pass authentication",
            r"not authenticated",
            r"sender id\b",
        ),
    ),
    (
        "setup",
        words(
            r"\brelay(?:ing)? (?:access )?(?:denied|not|is|prohibited|refused|operation)",
            r"(?:unable|not|no|can't|cannot|refus\w+|to) (?:\w+ ){0,3}relay(?:ing)?\b",
            r"reverse (?:dns|lookup|hostname|mapping)",
            r"\bptr\b",
            r"\brdns\b",
            r"(?:ip|client|host)(?: host| address)? ?(?:name)? lookup failed",
            r"cannot (?:find|resolve) your (?:reverse )?host",
            r"\bhelo\b",
            r"\behlo\b",
            r"\b5\d\d\s{1,4}invalid domain name",
            r"my name was rejected",
            r"fix (?:your )?reverse",
            r"not verified",
            r"starttls",
            r"\btls\b.{0,40}(?:required|fail|error)",
            r"certificate",
            r"must issue",
            r"too many hops",
            r"mail(?:er)? (?:forwarding )?loop",
            r"loop(?:s|ing)? (?:back|detected)",
            r"routing loop",
            r"loops back to myself",
            r"bad sequence",
            r"command (?:not|parameter|unrecognized|rejected)",
            r"syntax error",
            r"unrecognized command",
            r"smtputf8",
            r"8bitmime",
            r"not supported",
            r"protocol error",
            r"unable to verify (?:the )?sender",
            r"sender verif",
            r"call(?:out|back)",
            r"domain is ?n[o']t in my list of allowed rcpthosts",
            r"(?:your|client|sending|connecting)(?: smtp)? (?:host|domain|server)(?: ?name)?\b"
            r".{0,40}(?:\bnot\b|n't|unknown|invalid|unresolv)",
            r"(?:can(?:not|'t)|could ?n[o']t) verify (?:the )?sender",
        ),
    ),
    (
        "blocked",
        words(
            r"black ?-?list",
            r"block(?:ed)? ?-?list",
            r"block(?:ed)? (?:using|by|for|due|because)",
            r"\bd?n?[srx]bl\b",
            r"\brbl\b",
            r"\b(?:has|have|is|was|are|been) blocked\b",
            r"(?<!un)\bblocked\b",
            r"spamhaus",
            r"spamcop",
            r"barracuda",
            r"proofpoint",
            r"sorbs",
            r"senderbase",
            r"cloudmark",
            r"reputation",
            r"\bbanned\b",
            r"\bblock listed\b",
            r"denied by",
            r"dynamic(?:ally)? (?:ip|address|assigned)",
            r"(?:client|connect(?:ing|ion)?|your) (?:host|ip|server|address|network)(?: "
            r"address)?.{0,40}(?:rejected|refused|denied|not (?:allowed|permitted|accepted))",
            r"connection (?:rejected|refused by policy|denied)",
            r"not allowed to connect",
            r"bad (?:dns|sender ip|reputation)",
            r"\bIB\d{3}\b.{0,60}poor",
            r"poor reputation",
            r"\(BL\d*\)",
            r"permanently deferred",
            r"\bAUP#",
            r"\bgr[ae]y ?-?list",
        ),
    ),
    (
        "spam",
        words(
            r"\bspam\b",
            r"\bspam(?!haus|cop)\w*",
            r"\bube\b",
            r"\buce\b",
            r"\bjunk\b",
            r"unsolicited",
            r"bulk (?:e-?mail|mail)",
            r"phish",
            r"suspicious",
            r"\bdcc\b",
            r"content filter",
            r"looks like",
            r"high(?:ly)? probab",
            r"\brestricted\b.{0,30}content",
            r"\burl\b.{0,30}(?:reject|block|list)",
        ),
    ),
    (
        "content",
        words(
            r"virus",
            r"malware",
            r"infected",
            r"trojan",
            r"attachment",
            r"media error",
            r"mime\b",
            r"message (?:content|header|format)",
            r"content (?:rejected|not|error|refused|of)",
            r"\bheader\b",
            r"from: header",
            r"not (?:rfc|compliant)",
            r"rfc ?\d{3,4}",
            r"bare (?:lf|cr)",
            r"executable",
            r"prohibited",
            r"conversion",
            r"8-?bit",
            r"charset",
            r"duplicate message",
        ),
    ),
    (
        "rate",
        words(
            r"too many (?:connections?|messages?|mails?|e-?mails?|sessions?|errors|recipients|"
            r"concurrent)",
            r"too many (?:invalid|unknown|bad|failed|unsuccessful|non-?existent)",
            r"frequency",
            r"rate[ -]?limit",
            r"limit(?:ed)? (?:exceeded )?rate",
            r"throttl",
            r"too (?:fast|frequent|often|quickly)",
            r"exceed\w* (?:the )?(?:rate|sending|daily|hourly|maximum (?:rate|number)|"
            r"max(?:imum)? connections)",
            r"(?:daily|hourly|sending|message) (?:sending )?(?:quota|limit)",
            r"unusual (?:rate|volume|traffic)",
            r"slow down",
            r"concurrent",
            r"receiving mail at a rate",
        ),
    ),
    (
        "size",
        words(
            r"(?:message|mail|size|file|data|attachment)\b.{0,30}(?:too (?:big|large|long)|"
            r"exceed|larger than|over(?:size| ?limit))",
            r"too (?:big|large)",
            r"size limit",
            r"size (?:exceed|of)",
            r"exceed.{0,30}(?:size|length)",
            r"maximum (?:message |allowed )?size",
            r"nachricht.{0,20}zu (?:gro|lang)",
            r"слишком больш",
            r"превышен.{0,20}размер",
        ),
    ),
    (
        "rules",
        words(
            r"polic(?:y|ies)",
            r"\bsender\b.{0,60}(?:reject|denied|refus|not|unknown|invalid|does|block|unverif)",
            r"(?:reject|refus|denied|block)\w* (?:by|for|due|from)\b.{0,30}(?:sender|polic|rule|"
            r"admin|recipient|content|filter)",
            r"mail from\b.{0,60}(?:reject|denied|refus|not allowed|invalid)",
            r"domain of sender",
            r"return[- ](?:path|address)",
            r"\byour (?:ip |e-?mail )?address\b",
            r"\bbatv\b",
            r"envelope.?(?:from|sender)",
            r"not authori[sz]ed",
            r"unauthori[sz]ed",
            r"not permitted",
            r"permission",
            r"notauthorized",
            r"administrative prohibition",
            r"local policy",
            r"only accept",
            r"subscri(?:be|ption)",
            r"moderat",
            r"members?\b.{0,30}(?:only|list)",
            r"restrict",
            r"does ?n(?:'t|ot) (?:accept|want|wish|like).{0,20}(?:from|your|messages|you)",
            r"not accepting (?:your|mail from|messages from)",
            r"suppression",
            r"bounce ?rate",
            r"previously bounced",
            r"unsubscribed",
            r"challenge",
            r"whitelist",
            r"administrative(?:ly)? (?:prohibit|den|lock)",
            r"security",
            r"email preferences",
            r"your (?:message|mail|e-?mail)s? (?:was|has been|is|were) (?:rejected|refused|"
            r"declined)",
            r"(?:we|they) (?:do|does) not accept",
            r"delivery not authori[sz]ed",
            r"not allowed (?:to send|for)",
            r"отклонен[оа]?.{0,30}(?:политик|правил|отправител)",
        ),
    ),
    # What speaks of the person's mailbox, but not for good.
    (
        "full",
        words(
            r"(?:mail ?)?(?:box|folder|account|inbox|storage|user|recipient|mailfolder|store|"
            r"drop)\b.{0,40}\b(?:full|overflow|over ?quota|exceed\w*|out of)",
            r"\bquota\b",
            r"over ?quota",
            r"mailbox ?full",
            r"insufficient (?:system )?(?:storage|disk|space)",
            r"(?:no|not enough|out of|insufficient|exceeded).{0,20}(?:storage|disk|space)",
            r"exceeded.{0,20}(?:allocation|storage|allocated)",
            r"too much mail",
            r"storage (?:limit|allocation)",
            r"\bmaildir delivery failed\b",
            r"no space left",
            r"full mailbox",
            r"too many messages in (?:the )?mailbox",
            r"account has exceeded",
            r"has exceeded",
            r"postfach.{0,20}(?:voll|überfüllt)",
            r"speicher.{0,20}(?:voll|überschritten)",
            r"кво[тт]",
            r"переполнен",
            r"заполнен",
            r"bo[iî]te.{0,30}(?:pleine|satur)",
            r"\bpleine?\b",
            r"\bllen[oa]\b",
            r"cheia",
            r"excedi[óod]",
            r"casella.{0,20}piena",
            r"\bpiena\b",
            r"容量",
            r"一杯",
            r"いっぱい",
            r"已满",
            r"배달.{0,10}가득",
            r"vol\b.{0,10}postbus",
        ),
    ),
    (
        "disabled",
        words(
            r"(?:account|mail ?box|user|recipient|address|e-?mail|mailaddress|subscriber|domain|"
            r"customer|usuario|login|profile|inbox)\b.{0,50}\b(?:disabled?|suspended|inactive|"
            r"not active|deactivated|locked|frozen|closed|expired|dormant|blocked|discontinued|"
            r"deactive|not available|temporarily|terminated|cancel+ed|on ?hold|abandoned|barred|"
            r"archived)\b",
            r"(?:disabled|suspended|inactive|deactivated|locked|frozen|closed|dormant|expired|"
            r"blocked) (?:the )?(?:e-?mail |mail )?(?:account|mail ?box|user|recipient|address|"
            r"customer)",
            r"\barchiv[eé]",
            r"\bdisabled\b",
            r"inactiv",
            r"not (?:currently )?accepting (?:any )?(?:mail|messages|e-?mail)",
            r"suspend",
            r"over (?:a )?(?:year|month)",
            r"not been used",
            r"out of (?:service|use)",
            r"has been blocked",
            r"заблокирован",
            r"отключ[её]н",
            r"неактив",
            r"deaktiviert",
            r"gesperrt",
            r"désactiv",
            r"suspendid",
            r"desactivad",
            r"inativ",
            r"disabilitat",
            r"停止",
            r"停用",
            r"禁用",
            r"not currently (?:available|receiv)",
            r"unable to receive",
            r"can(?:no|')t receive",
            r"mailbox unavailable for (?!explanation)",
            r"unavailable or access denied",
        ),
    ),
    (
        "late",
        words(
            r"timed?[ -]?out",
            r"time[- ]?out",
            r"connection (?:refused|reset|closed|dropped|lost|timed|to|failed|error|was)",
            r"(?:could not|couldn't|cannot|can't|unable to|not) (?:connect|be reached|establish|"
            r"complete the conn|reach (?:the )?(?:host|server|domain|mail))",
            r"no route to host",
            r"network (?:is )?unreachable",
            r"host (?:is )?(?:unreachable|not reachable|down)",
            r"in (?:the )?queue too long",
            r"retry time ?(?:out|not reached|limit)?",
            r"too long",
            r"lost connection",
            r"socket error",
            r"not (?:yet )?(?:been )?delivered (?:for|after|within|since)",
            r"delivery (?:time ?(?:out|expired)|attempts?|delayed|temporarily)",
            r"message (?:has )?expired",
            r"\bexpired\b",
            r"keep trying",
            r"will (?:be )?retr",
            r"still (?:being )?(?:in|trying)",
            r"warning message only",
            r"deferred",
            r"delayed",
            r"could not be delivered for",
            r"undeliverable for",
            r"requests to connect",
            r"server(?:s)? (?:for|of).{0,60}(?:not respond|unreachable|unavailable)",
            r"did ?n[o']t respond",
            r"not respond",
            r"no answer",
            r"name server.{0,30}(?:fail|time)",
            r"dns (?:server|lookup).{0,30}(?:fail\w*|time)(?!.{0,20} not found)",
            r"host lookup did not complete",
            r"temporary (?:dns|lookup|resolution)",
            r"try(?:ing)? again",
            r"не удалось.{0,20}(?:соедин|подключ)",
            r"zeitüberschreitung",
        ),
    ),
    (
        "trouble",
        words(
            r"temporar",
            r"try (?:again )?later",
            r"later",
            r"\bbusy\b",
            r"system (?:error|failure|resources|problem|not)",
            r"internal (?:server |system |software )?error",
            r"local (?:error|configuration|problem)",
            r"server (?:error|busy|failure|unavailable|overload|down)",
            r"service (?:refus|not available|busy|unavailable|shut)",
            r"out of memory",
            r"resources",
            r"configuration (?:error|problem)",
            r"config(?:uration)? error",
            r"cannot (?:open|create|write|append|update|lock)",
            r"can't (?:open|create|write|append)",
            r"i/o error",
            r"read[- ]only",
            r"overload",
            r"unexpected",
            r"processing error",
            r"command died",
            r"exit(?:ed)? (?:status|code)",
            r"error in processing",
            r"queue",
            r"transport (?:error|failed|unavailable)",
            r"unable to (?:process|open|create|write|deliver to local)",
            r"delivery error.{0,20}(?:temp|unknown)",
        ),
    ),
)
"""In this order. All of them say that the address may well be good."""

NO_MAIL = words(
    r"null ?mx",
    r"does ?n(?:'t|ot) (?:accept|receive|take) (?:any )?(?:e-?)?mail(?! from)",
    r"no smtp service",
    r"mx.{0,40}(?:points? to (?:an )?(?:invalid|non|localhost|itself)|no smtp)",
    r"could ?n[o']t find a mail exchanger",
    r"no mail (?:exchanger|service|server)s?\b",
    r"domain does not (?:accept|receive)",
    r"no mx (?:found|record)",
)

NO_DOMAIN = words(
    r"host (?:or domain name )?(?:is )?(?:unknown|not found)",
    r"(?:domain|host)(?: name)?(?: [\w()<>.-]+){0,5} {1,3}(?:not found|does ?n[o']t exist|not "
    r"exist|unknown|could ?n[o']t be found|not resolve)",
    r"no such (?:domain|host)",
    r"unknown (?:mail )?(?:host|domain)",
    r"bad destination (?:host|system|domain)",
    r"illegal host/domain",
    r"name or service not known",
    r"unrouteable (?:mail )?(?:domain|address)",
    r"unroutable (?:mail )?(?:domain|address)",
    r"nxdomain",
    r"invalid (?:mail |recipient |destination )?(?:domain|host)\b(?!,)",
    r"recipient domain must exist",
    r"(?:cannot|can't|could not|couldn't|unable to) (?:find|resolve|locate|look ?up)(?: "
    r"any)?(?: the)? ?(?:mx|a record|host|domain|mail server|route)",
    r"non-?existent (?:host|domain)",
    r"no (?:mx|a|mx or a|a or mx) records?",
    r"host address lookups failed permanently",
    r"domain is not reachable",
    r"domain mentioned in (?:the )?e-?mail address is unknown",
    r"no mail hosts for (?:the )?domain",
    r"all (?:relevant )?mx records point to non-existent",
    r"domain .{0,40}is not (?:local|known|valid|hosted)",
)

MOVED = words(
    r"\bhas moved\b",
    r"no longer (?:at|with) (?:this|our) (?:address|domain)",
    r"user not local; (?:please )?(?:try|forward)",
    r"address has changed",
    r"has been replaced by",
    r"recipient no longer on server",
)

WHO = (
    r"(?:user|account|mail ?box(?: name)?|recipient|address(?:ee)?|local part|login|person"
    r"|subscriber|e-?mail(?: address)?|alias|inbox|id|name|customer)"
)

NO_MAILBOX = words(
    rf"(?:no such|unknown|invalid|bad|non-?existent|nonexistent|unrecogni[sz]ed|illegal|"
    rf"incorrect|undefined|unavailable|wrong|not a valid|not valid|no valid|not a known|not "
    rf"an active|no) (?:virtual |local |destination |rcpt |to |e-?mail |mail ?box |forward |"
    rf"relay |smtp )?{WHO}\b",
    rf"\b{WHO}(?:\(s\)|e?s)?\b(?! (?:list|exceed)).{{0,60}}?\b(?:unknown|not (?:be )?(?:found|"
    rf"present|ok|known|listed|recogni[sz]ed|valid|exist|here|local|registered|correct|in)\b|(?:do|does|"
    rf"did) ?n[o']t exist|do(?:es)? not exist|invalid|non-?existent|rejected(?!:| \w)|"
    rf"undeliverable|could ?n[o']t be found|cannot be found|never existed|no longer "
    rf"(?:exists?|valid|available|active|in use|here|with|on|employed|accept)|nonexistent|"
    rf"deleted|removed|unrecogni[sz]ed|unavailable)",
    r"unknown (?:or (?:illegal|invalid) )?(?:alias|local)",
    r"no (?:such )?(?:person|mailbox|one|user|recipient|account) (?:here|by|at|with|of|found|"
    r"named|exists|in)",
    r"no mailbox here",
    r"bad ?rcpt ?to",
    r"unknown virtual user",
    r"userunknown",
    r"in (?:the )?name directory",
    r"bad ?recipient ?to list",
    r"envelope recipient has been denied",
    r"rcpt\b.{0,40}does ?n[o']t exist",
    r"no existe (?:dicha persona|(?:ese|este|el|tal) usuario|(?:esa|esta|la|tal) "
    r"(?:cuenta|direcci))",
    r"nessun utente",
    r"addressee unknown",
    r"\bdoes ?n[o']t have an?.{0,30}account",
    r"user unknown",
    r"unknown user",
    r"not (?:our|a) (?:customer|user|local)",
    r"not listed in.{0,40}(?:address book|directory|domino)",
    r"recip(?:ient)?notfound",
    r"not our customer",
    r"no longer (?:on|at) (?:server|this|our)",
    r"no account (?:by|here|with|found|for)",
    r"address not found",
    r"(?:address|account|mailbox|user) (?:you tried|that you).{0,40}does not exist",
    r"there is no (?:one|user|account|mailbox|such)",
    r"mailbox not found",
    r"no mailbox",
    r"not a mailbox",
    r"isn'?t (?:in|a valid|found)",
    r"wasn'?t found",
    r"invalid (?:recipient|mailbox|user|address|final)",
    r"recipients? (?:address )?(?:rejected|unknown|not found|denied)",
    r"address (?:is )?(?:unknown|rejected|invalid)",
    r"delivery to (?:this|the following) (?:address|user)s? (?:is )?(?:impossible|not "
    r"possible)",
    r"mailbox unavailable",
    r"user (?:is )?(?:unknown|unavailable)",
    r"unknown in (?:virtual|local|relay)",
    r"account (?:that you tried|does not)",
    r"not exist",
    r"(?:empf[äa]nger|benutzer|adresse|postfach|mailbox|nutzer|konto).{0,40}(?:unbekannt|"
    r"existiert nicht|nicht (?:gefunden|vorhanden|bekannt|existier)|ung[üu]ltig)",
    r"unbekannter? (?:empf|benutz|nutz|adress)",
    r"(?:utilisateur|adresse|destinataire|compte|bo[iî]te).{0,40}(?:inconnue?|inexistante?|"
    r"n'existe pas|introuvable|invalide)",
    r"(?:usu[aá]ri?o|destinat[aá]rio|direcci[oó]n|cuenta|buz[oó]n|conta|caixa|"
    r"endere[cç]o).{0,40}(?:desconocid|desconhecid|no existe|n[aã]o existe|inexistente|"
    r"inv[aá]lid|no encontrad|n[aã]o encontrad)",
    r"(?:utente|destinatario|indirizzo|casella).{0,40}(?:sconosciut|inesistente|non esiste|"
    r"non valid|non trovat)",
    r"(?:пользовател|адрес|ящик|получател|учетн|аккаунт).{0,40}(?:не (?:найден|существует|"
    r"зарегистрирован|обнаружен)|неизвест|отсутств|удал[её]н)",
    r"(?:такого|нет такого) (?:пользовател|адрес|ящик)",
    r"неизвестн.{0,10}(?:пользовател|получател)",
    r"(?:нет|несуществующ).{0,20}(?:пользовател|ящик|адрес)",
    r"(?:gebruiker|adres|ontvanger).{0,30}(?:onbekend|bestaat niet)",
    r"(?:użytkownik|adres|konto|skrzynka).{0,40}(?:nieznan|nie istnieje)",
    r"用户不存在",
    r"邮箱不存在",
    r"收件人.{0,10}不存在",
    r"帐号不存在",
    r"宛先.{0,10}(?:不明|存在しない|見つかりません)",
    r"ユーザー?.{0,10}存在し",
    r"사용자.{0,10}(?:없|알 수)",
)

LISTED = words(
    r"not listed in.{0,40}(?:address book|directory)",
    r"recipient name is not recogni[sz]ed",
    r"invalid final delivery user",
    r"recip(?:ient)?notfound",
    r"unknown user: \S+@",
    r"\(user unknown \S+@",
    r"could not be delivered to:\s{1,9}\S+@\S+\s{1,9}(?:user unknown|unknown user)",
    r"invalid or unknown virtual user",
    r"this address no longer accepts mail",
)
"""So clear that no code is needed."""

AT_RCPT = words(
    r"requested action not taken: mailbox unavailable.{0,40}\(S\d+",
    r"5\.5\.0 requested action not taken: mailbox unavailable",
    r"invalid recipient - https?://\S*mimecast",
    r"5\.7\.1 no such user!",
    r"message was not accepted -- invalid mailbox",
)
"""What Outlook.com, Mimecast, Yandex and Mail.ru answer to RCPT, and to nothing else."""

GENERIC = words(
    r"(?:user|recipient)\W{1,3}(?:is )?unknown",
    r"unknown\W{1,3}(?:user|recipient)",
    r"no such (?:user|recipient|mailbox|address)",
    r"(?:mailbox|user|recipient) (?:is )?unavailable",
    r"(?:invalid|bad|unknown) (?:recipient|mailbox|address)",
    r"(?:user|mailbox|recipient|account) (?:does )?not (?:found|exist)",
)
"""Also what filters say of mail that a living person does not want: to be believed only in answer
to the address (at RCPT), or with a code that is about addresses."""

ADDRESS_STATUS = re.compile(r"5\.1\.(?:[0-36]|10|351)")

CONDEMNING: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("no-mail", NO_MAIL),
    ("no-domain", NO_DOMAIN),
    ("moved", MOVED),
    ("no-mailbox", NO_MAILBOX),
)

PREFIX = re.compile(r"(?<!sender )(?:recipient )?address rejected: ?(?=\S)", re.IGNORECASE)
NOISE = re.compile(
    r"https?://\S+|www\.\S+|<?(?<![^\s<>()])[^\s<>()@]{1,254}@[^\s<>()]{1,254}>?|\[[\d.:a-f]{3,45}\]"
    r"|(?<![\w.-])[a-z\d_-]{1,63}(?:\.[a-z\d_-]{1,63}){1,10}\.?(?![A-Za-z])"
    r"|\(delivery attempts: \d{1,9}\)"
)
"""Addresses, links and names of hosts: they often spell what they are not about. And what Cisco's
gateways count."""

LISTS = words(
    r"spamhaus",
    r"spamcop",
    r"\bsorbs\b",
    r"barracudacentral",
    r"\bdnsbl\b",
    r"\buceprotect",
    r"\brbl\b",
)
"""Keepers of block lists, whose names stand in links."""

STATUSES: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("no-mailbox", re.compile(r"5\.1\.[13]")),
    ("no-mail", re.compile(r"5\.1\.10")),
    ("no-domain", re.compile(r"5\.1\.2")),
    ("moved", re.compile(r"5\.1\.6")),
    ("disabled", re.compile(r"[45]\.2\.1|4\.1\.1")),
    ("full", re.compile(r"[45]\.2\.2|[45]\.3\.1")),
    ("size", re.compile(r"[45]\.(?:2\.3|3\.4)")),
    ("rules", re.compile(r"[45]\.(?:1\.[78]|2\.4|7\.[012])")),
    ("setup", re.compile(r"[45]\.(?:5\.\d+|4\.6|3\.5|7\.(?:4|25|27))")),
    ("authentication", re.compile(r"[45]\.7\.(?:2[0-9]|9)")),
    ("rate", re.compile(r"[45]\.7\.28|4\.7\.0")),
    ("content", re.compile(r"[45]\.6\.\d+|[45]\.7\.[567]")),
    ("late", re.compile(r"[45]\.4\.[17]")),
    ("trouble", re.compile(r"[45]\.(?:3|4)\.\d+|4\.\d+\.\d+")),
)
"""What an enhanced code means where there are no words to go by (RFC 3463, 5248, 7372)."""
