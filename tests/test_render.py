import re
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailer import render
from mailer.errors import Invalid
from mailer.render import faults, shelf
from mailer.render.shelf import BadTemplate

AT = datetime(2026, 3, 3, 21, 5, tzinfo=UTC)
MJML = "<mjml><mj-body><mj-section><mj-column>{}</mj-column></mj-section></mj-body></mjml>"


@pytest.fixture
def templates(tmp_path: Path) -> Iterator[Path]:
    """An operator's folder of templates; what it has not is ours."""
    render.use(tmp_path)
    yield tmp_path
    render.use(None)


def test_html_is_escaped_and_text_is_not(templates: Path) -> None:
    for name in ("a.html", "a.txt"):
        (templates / name).write_text("{{ title }}")
    assert render.page("a.html", "en", title="<b> & {{ x }}") == "&lt;b&gt; &amp; {{ x }}"
    assert render.text("a.txt", "en", title="<b> & {{ x }}") == "<b> & {{ x }}"


def test_a_value_that_was_forgotten_is_an_error(templates: Path) -> None:
    (templates / "a.html").write_text("{{ titel }}")
    with pytest.raises(BadTemplate, match=r"a\.html, line 1: .*titel"):
        render.page("a.html", "en", title="x")


def test_sentences_filters_and_globals_speak_the_language(templates: Path) -> None:
    (templates / "a.txt").write_text(
        "{{ _('size unknown') }}|{{ at|date }}|{{ 311296|size }}|{{ 'ru'|language_name }}"
        "|{{ lang }}|{{ dir }}|{{ translate('KB') }}"
    )
    assert render.text("a.txt", "en", at=AT) == (
        "size unknown|March 3, 2026|304\N{NO-BREAK SPACE}KB|Russian|en|ltr|KB"
    )
    assert render.text("a.txt", "ru", at=AT) == (
        "размер неизвестен|3 марта 2026\N{NARROW NO-BREAK SPACE}г.|304\N{NO-BREAK SPACE}КБ"
        "|русский|ru|ltr|КБ"
    )


def test_a_language_without_a_catalogue_gets_english_and_its_own_direction(templates: Path) -> None:
    (templates / "a.txt").write_text("{{ lang }} {{ dir }} {{ _('size unknown') }}")
    assert render.text("a.txt", "fa", at=AT) == "fa rtl size unknown"


def test_two_languages_do_not_disturb_one_another(templates: Path) -> None:
    (templates / "a.txt").write_text("{{ _('size unknown') }}")
    said = [render.text("a.txt", language) for language in ("en", "ru", "en")]
    assert said == ["size unknown", "размер неизвестен", "size unknown"]


def test_dates_may_be_told_in_a_time_zone() -> None:
    assert render.date_and_time(AT, "en") == "March 3, 2026, 21:05 UTC"
    assert render.date(AT, "en", ZoneInfo("Asia/Tokyo")) == "March 4, 2026"


@pytest.mark.parametrize(
    ("count", "said"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1 KB"),
        (311_296, "304 KB"),
        (1_048_576, "1 MB"),
        (1_600_000, "1.5 MB"),
        (999_999_999, "954 MB"),
        (10**13, "9,313 GB"),
        (None, "size unknown"),
    ],
)
def test_sizes_are_said_for_people(count: int | None, said: str) -> None:
    assert render.size(count, "en").replace("\N{NO-BREAK SPACE}", " ") == said


@pytest.mark.parametrize(
    "code", ["", "x", "zz", "../etc", "en_US.UTF-8", "ru-RU-x", "\0", "a" * 99]
)
def test_odd_language_codes_name_themselves(code: str) -> None:
    assert render.language_name(code, "en") is not None
    assert render.direction(code) == "ltr"


@pytest.mark.parametrize(
    ("code", "name"),
    [
        ("en", "English"), ("ru", "Русский"), ("uk", "Українська"), ("pl", "Polski"),
        ("kk", "Қазақша"), ("fr", "Français"), ("de", "Deutsch"), ("ar", "العربية"),
        ("pt-BR", "Português (Brasil)"), ("zz", "zz"),
    ],
)  # fmt: skip
def test_a_language_is_called_as_it_calls_itself(code: str, name: str) -> None:
    assert render.own_name(code) == name


def test_dates_are_written_as_each_language_does() -> None:
    assert render.day(date(2027, 1, 1), "fr") == "1er janvier 2027"
    assert render.day(date(2027, 1, 11), "fr") == "11 janvier 2027"
    said = {code: render.date_and_time(AT, code) for code in ("uk", "pl", "kk", "ar")}
    assert said == {
        "uk": "3 березня 2026\N{NARROW NO-BREAK SPACE}р., 21:05 UTC",
        "pl": "3 marca 2026, 21:05 UTC",
        "kk": "2026\N{NARROW NO-BREAK SPACE}ж. 3 наурыз, 21:05 UTC",
        "ar": "3 مارس 2026، 21:05 UTC",
    }


def test_a_refusal_is_translated_before_its_values_are_filled_in() -> None:
    error = Invalid("Enter an e-mail address such as name@example.org.", field="email")
    assert (
        render.refusal(error, "ru") == "Укажите адрес электронной почты, например name@example.org."
    )
    assert (
        render.refusal(Invalid("{name} is no name.", name="{field}"), "ru") == "{field} is no name."
    )


@pytest.mark.parametrize(
    ("wanted", "accept", "chosen"),
    [
        ("ru", None, "ru"),
        ("RU", "en", "ru"),
        ("ru-RU", "en", "ru"),
        ("xx", "ru;q=0.8, en;q=0.9", "en"),
        (None, "de, ru-RU;q=0.9, en;q=0.8", "ru"),
        (None, "de, ru-RU; q=0.9, en ;q=0.8", "ru"),
        (None, "ru;q=0, en;q=0.1", "en"),
        (None, "en;q=0, *", "ru"),
        (None, "en;q=0", "ru"),
        (None, "EN;q=0.5,RU;Q=0.7", "ru"),
        (None, "ru;q=nan, en;q=0.1", "en"),
        (None, "ru;q=9, en", "en"),
        ("ru-Cyrl-RU", None, "ru"),
        ("ru_RU", None, "en"),
        ("pt", "pt-BR, pt;q=0.9", "en"),
        (None, ";;;q=x,,=", "en"),
        (None, "*", "en"),
        (None, None, "en"),
    ],
)
def test_the_language_is_the_one_asked_for_else_the_browsers(
    wanted: str | None, accept: str | None, chosen: str
) -> None:
    assert render.best(wanted, accept, ("en", "ru")) == chosen


@pytest.mark.parametrize(
    ("tag", "found"),
    [
        ("ar-EG", "ar"), ("pt-br", "pt-BR"), ("pt-BR-x-y", "pt-BR"), ("pt", None), ("", None),
        ("-", None), ("uk", None),
    ],
)  # fmt: skip
def test_a_tag_means_what_is_left_of_it_without_its_region(tag: str, found: str | None) -> None:
    assert render.lookup(tag, ["en", "pt-BR", "ar"]) == found


def test_a_reader_from_a_region_is_spoken_to_in_their_language(templates: Path) -> None:
    (templates / "a.txt").write_text("{{ _('size unknown') }}|{{ own }}|{{ 2048|size }}")
    assert render.text("a.txt", "ru-KZ") == (
        'размер неизвестен| lang="ru" dir="ltr"|2\N{NO-BREAK SPACE}КБ'
    )
    assert render.text("a.txt", "fa").startswith('size unknown| lang="en" dir="ltr"|')


@given(st.text())
def test_no_header_breaks_the_choice(header: str) -> None:
    assert render.best(header, header, ("en", "ru")) in ("en", "ru")


def test_mjml_becomes_html_in_which_values_are_escaped(templates: Path) -> None:
    (templates / "a.mjml").write_text(MJML.format("<mj-text>{{ title }}</mj-text>"))
    made = render.mjml("a.mjml", "en", title="<mj-raw>x</mj-raw> & {{ y }}")
    assert "&lt;mj-raw&gt;x&lt;/mj-raw&gt; &amp; {{ y }}" in made
    assert "<table" in made


@pytest.mark.parametrize(
    "inside",
    ["<mj-txt>a</mj-txt>", "<mj-text><mj-buton>a</mj-buton></mj-text>", "<mj-text>a", "<mj-foo/>"],
)
def test_what_mjml_does_not_know_is_refused(templates: Path, inside: str) -> None:
    (templates / "a.mjml").write_text(MJML.format(inside))
    with pytest.raises(BadTemplate, match=r"a\.mjml"):
        render.mjml("a.mjml", "en")


def test_no_mail_asks_a_third_party_for_fonts(templates: Path) -> None:
    (templates / "a.mjml").write_text(MJML.format("<mj-text font-family='Roboto'>a</mj-text>"))
    assert "//fonts" not in render.mjml("a.mjml", "en")


# the operator's own


def test_a_template_of_theirs_goes_before_ours_and_uses_the_rest(templates: Path) -> None:
    (templates / "mail").mkdir()
    (templates / "mail" / "controller.txt").write_text("Theirs.")
    (templates / "a.txt").write_text("{% include 'mail/controller.txt' %}")
    assert render.text("a.txt", "en") == "Theirs."
    render.use(None)
    assert "Theirs." not in render.text("mail/controller.txt", "en", controller=["x"])


def test_a_sentence_of_theirs_goes_before_ours_and_a_catalogue_is_a_language(
    templates: Path,
) -> None:
    (templates / "translations").mkdir()
    for language, said in (("ru", "неизвестно сколько"), ("fi", "koko tuntematon")):
        file = templates / "translations" / f"{language}.po"
        file.write_text(f'msgid "size unknown"\nmsgstr "{said}"\n', "utf-8")
    render.use(templates)
    assert render.translate("size unknown", "ru") == "неизвестно сколько"
    assert render.translate("Unsubscribe", "ru") == "Отписаться"
    assert render.translate("size unknown", "fi") == "koko tuntematon"
    assert "fi" in render.LANGUAGES
    render.use(None)
    assert "fi" not in render.LANGUAGES
    render.use(templates)
    assert faults.found() == []


@pytest.mark.parametrize(
    ("name", "source", "fault"),
    [
        ("public/home.html", "\n\n{% if %}", r"home\.html, line 3: "),
        ("mail/digest/body.mjml", "\n<mj-buton />", r"body\.mjml, line 2: <mj-buton> is"),
        ("mail/digest/body.mjml", "<mj-text>\n\n</mj-raw>", r"line 3: </mj-raw> closes <mj-text>"),
        ("mail/digest/body.mjml", "{# a\nb #}\n<mj-text>", r"line 3: <mj-text> is never closed"),
        ("mail/digset/body.mjml", "", r"there is no template mail/digset/body\.mjml"),
        ("translations/ru.po", 'msgid "a"\nmsgstr "b"\nmsgstr "', r"ru\.po, line 3: "),
        ("translations/ru.po", '\n\n\nmsgid "{x} a"\nmsgstr "б"\n', "line 4: .*{x}"),
        ("translations/ru.po", 'msgid "%(num)s a"\nmsgstr "%(n)s б"\n', r"line 1.*%\(num\)s"),
    ],
)  # fmt: skip
def test_a_fault_is_named_with_its_file_and_line(
    templates: Path, name: str, source: str, fault: str
) -> None:
    (templates / name).parent.mkdir(parents=True, exist_ok=True)
    (templates / name).write_text(source, "utf-8")
    (found,) = faults.found()
    assert re.search(fault, found)


def test_a_fault_that_shows_only_when_it_is_filled_in_has_its_line_too(templates: Path) -> None:
    (templates / "b.txt").write_text("\n{{ title.nothing }}")
    (templates / "a.txt").write_text("\n\n\n{% include 'b.txt' %}")
    with pytest.raises(BadTemplate, match=r"b\.txt, line 2: .*nothing"):
        render.text("a.txt", "en", title="x")


@pytest.mark.parametrize(
    ("two", "three", "fault"),
    [("يومان", "%(num)s أيام", False), ("يومان", "أيام", True), ("%(day)s", "%(num)s أيام", True)],
)
def test_a_plural_form_of_one_number_may_say_it_in_a_word(
    templates: Path, two: str, three: str, fault: bool
) -> None:
    (templates / "translations").mkdir()
    plural = "n==0 ? 0 : n==1 ? 1 : n==2 ? 2 : n%100>=3 && n%100<=10 ? 3 : n%100>=11 ? 4 : 5"
    head = f'msgid ""\nmsgstr "Plural-Forms: nplurals=6; plural=({plural});\\n"\n\n'
    said = ["لا أيام", "يوم واحد", two, three, "%(num)s يومًا", "%(num)s يوم"]
    forms = "\n".join(f'msgstr[{n}] "{each}"' for n, each in enumerate(said))
    ids = 'msgid "%(num)s day"\nmsgid_plural "%(num)s days"\n'
    (templates / "translations/ar.po").write_text(head + ids + forms, "utf-8")
    render.use(templates)
    assert bool(faults.found()) == fault


def test_ours_are_without_fault(templates: Path) -> None:
    for name in shelf.names():
        if name.endswith(".mjml"):
            assert [str(fault) for fault in shelf.misplaced(name)] == []
