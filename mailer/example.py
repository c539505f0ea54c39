"""The example site of `mailer dev`: somebody else's website with articles, documents and a feed.

It stands on a port of its own, as a foreign site would. Its articles are about this service.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from aiohttp import web

from mailer import render
from mailer.notices import Notice

SLUG = "field-notes"
TITLES = {"en": "Field Notes", "ru": "Заметки с места"}
SITE: web.AppKey["Site"] = web.AppKey("site")

# As strict as a site can be that has the form on its pages.
POLICY = (
    "default-src 'none'; style-src 'self'; script-src {service}; connect-src {service}; "
    "frame-src {service}; form-action {service}; base-uri 'none'; "
    "require-trusted-types-for 'script'; trusted-types 'none'"
)


@dataclass(frozen=True)
class Document:
    """A file attached to an article, made of one line of text."""

    name: str
    line: str
    language: str

    @property
    def pdf(self) -> bytes:
        return pdf(self.line)


@dataclass(frozen=True)
class Story:
    """One article of the site; `days`: how long ago it was published."""

    id: str
    language: str
    title: str
    text: str
    days: int
    documents: Sequence[Document] = ()

    @property
    def at(self) -> datetime:
        noon = datetime.now(UTC).replace(hour=12, minute=0, second=0, microsecond=0)
        return noon - timedelta(days=self.days)


STORIES = (
    Story("welcome", "en", "Why this list asks twice",
          "A form is not a consent: anybody can type your address. So the first mail only asks "
          "whether it was you, and nothing else is sent until you say yes.", 9),
    Story("welcome-ru", "ru", "Почему мы спрашиваем дважды",
          "Форма — ещё не согласие: ваш адрес может ввести кто угодно. Поэтому первое письмо "
          "только спрашивает, вы ли это были; другое придёт, лишь когда вы согласитесь.", 9),
    Story("stolen", "en", "What a stolen database would tell",
          "No address. Each is sealed under a key of its own, and the key that opens those keys "
          "is not in the database. Dates and numbers can be read; people can't.", 3,
          (Document("What is sealed.pdf", "Every address is sealed under its own key.", "en"),)),
    Story("stolen-ru", "ru", "Что расскажет украденная база",
          "Ни одного адреса. Каждый запечатан собственным ключом, а ключа к этим ключам в базе "
          "нет. Даты и числа прочесть можно, людей — нет.", 3,
          (Document("Приказ №660.pdf", "Order 660: how addresses are stored.", "ru"),)),
    Story("record", "en", "The record of your consent",
          "Your page shows each thing you agreed to, when, and in exactly which words. Entries are "
          "only ever added, and each names the one before, so a missing one shows.", 2,
          (Document("Consent record.pdf", "What a consent record holds.", "en"),
           Document("Образец записи.pdf", "A sample record, in Russian.", "ru"))),
    Story("record-ru", "ru", "Запись о вашем согласии",
          "На вашей странице видно всё, на что вы соглашались, когда и какими словами. Записи "
          "только добавляются, и каждая называет предыдущую, поэтому пропажа заметна.", 2,
          (Document("Образец записи.pdf", "A sample record, in Russian.", "ru"),)),
    Story("leaving", "en", "One click is enough to leave",
          "The button of your mail program works, and so does the link at the end of each mail. "
          "Nobody asks why, and no login is needed.", 1),
    Story("leaving-ru", "ru", "Чтобы уйти, достаточно одного щелчка",
          "Работает и кнопка вашей почтовой программы, и ссылка в конце каждого письма. Никто не "
          "спрашивает почему, и входить никуда не надо.", 1),
)  # fmt: skip
STYLE = """
body { font: 1.0625rem/1.6 Georgia, serif; max-width: 42rem; margin: 2rem auto; padding: 0 1rem; }
iframe { inline-size: 100%; block-size: 46rem; border: 1px solid; border-radius: .5rem; }
li { margin-block: .5rem; }
aside { margin-block: 3rem; padding: 1.5rem; border: 1px solid; border-radius: .5rem; }
newsletter-form { display: block; min-block-size: 27rem; --newsletter-accent: #7a3b12; }
newsletter-form::part(title) { font-variant: small-caps; }
"""
OLD = ("welcome", "welcome-ru")
"""What was on the site before anybody listened to its feed."""


@dataclass
class Site:
    """`url`: its own; `service`: where the newsletter lives; `stories`: what is published yet.

    `notices`: by language, the words beside the site's own form.
    """

    url: str
    service: str
    stories: list[Story] = field(default_factory=lambda: [s for s in STORIES if s.id in OLD])
    notices: Mapping[str, Notice] = field(default_factory=dict)

    def publish(self) -> None:
        self.stories = list(STORIES)

    def feed(self, language: str) -> str:
        return f"{self.url}/feed-{language}.xml"


def make(site: Site) -> web.Application:
    app = web.Application()
    app[SITE] = site
    app.add_routes(
        [
            web.get("/", front),
            web.get("/site.css", style),
            web.get("/plain", plain),
            web.get(r"/feed-{language:en|ru}.xml", feed),
            web.get("/story/{id}", story),
            web.get("/documents/{id}/{name}", document),
        ]
    )
    return app


async def front(request: web.Request) -> web.Response:
    """With the form as an element; where scripts don't run, as a frame."""
    language = render.best(request.query.get("lang"), None, tuple(TITLES))
    shown = [s for s in reversed(STORIES) if s.language == language]
    return html(request, "example/front.html", language, stories=shown)


async def plain(request: web.Request) -> web.Response:
    """With a form in the site's own HTML, as any CMS can keep it."""
    site = request.app[SITE]
    language = render.best(request.query.get("lang"), None, tuple(site.notices))
    return html(request, "example/plain.html", language, notice=site.notices[language])


async def style(request: web.Request) -> web.Response:
    return web.Response(text=STYLE, content_type="text/css")


async def story(request: web.Request) -> web.Response:
    found = find(request)
    return html(request, "example/story.html", found.language, story=found)


def html(request: web.Request, template: str, language: str, **values: object) -> web.Response:
    site = request.app[SITE]
    page = render.page(template, language, site=site, title=TITLES[language], slug=SLUG, **values)
    policy = {"Content-Security-Policy": POLICY.format(service=site.service)}
    return web.Response(text=page, content_type="text/html", headers=policy)


async def feed(request: web.Request) -> web.Response:
    """RSS 2.0, newest first."""
    site, language = request.app[SITE], request.match_info["language"]
    items = [s for s in reversed(site.stories) if s.language == language]
    xml = render.page(
        "example/feed.xml", language, site=site, title=TITLES[language], stories=items
    )
    return web.Response(text=xml, content_type="application/rss+xml")


async def document(request: web.Request) -> web.Response:
    for attached in find(request).documents:
        if attached.name == request.match_info["name"]:
            return web.Response(body=attached.pdf, content_type="application/pdf")
    raise web.HTTPNotFound


def find(request: web.Request) -> Story:
    for told in STORIES:
        if told.id == request.match_info["id"]:
            return told
    raise web.HTTPNotFound


def pdf(line: str) -> bytes:
    """The smallest document that shows one line of ASCII (ISO 32000-1, 7.5)."""
    drawn = f"BT /F1 18 Tf 72 720 Td ({line}) Tj ET".encode("ascii")
    objects = (
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]/Contents 4 0 R"
        b"/Resources<</Font<</F1 5 0 R>>>>>>",
        b"<</Length %d>>stream\n%s\nendstream" % (len(drawn), drawn),
        b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>",
    )
    out, places = b"%PDF-1.4\n", []
    for number, content in enumerate(objects, start=1):
        places.append(len(out))
        out += b"%d 0 obj%s endobj\n" % (number, content)
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    head = b"xref\n0 6\n0000000000 65535 f \n" + table
    return out + head + b"trailer<</Root 1 0 R/Size 6>>\nstartxref\n%d\n%%%%EOF\n" % len(out)


NOTICES: Mapping[str, Mapping[str, object]] = {
    "en": {
        "wording": "I agree to receive the latest content of Field Notes by e-mail, and to my "
        "information being securely processed and stored for that.",
        "purposes": ("sending the digests I chose",),
        "recipients": "Nobody else.",
        "retention": "Until you leave; then only what proves your consent, for as long as the law "
        "asks for.",
        "withdrawal": "At any time, with one click in each mail or on your page.",
    },
    "ru": {
        "wording": "Я согласен(на) получать новые материалы «Заметок с места» по электронной "
        "почте и на то, чтобы мои данные для этого надёжно обрабатывались и хранились.",
        "purposes": ("рассылка выбранных мной дайджестов",),
        "recipients": "Никто другой.",
        "retention": "Пока вы не отпишетесь; затем только то, что доказывает ваше согласие, — "
        "столько, сколько требует закон.",
        "withdrawal": "В любое время, одним щелчком в любом письме или на вашей странице.",
    },
}
