"""Bounces in the shapes that many mail systems give them, standard or not: tests/bounces.txt.

Each begins with `=== hard or other | whose it is | its subject`, and has its text; if it is a
delivery report (no subject), its fields stand below `---`.
"""

from pathlib import Path

import pytest

from mailer.bounces.reading import read

TOLD = (Path(__file__).parent / "bounces.txt").read_text("utf-8").split("=== ")[1:]
SHAPES = {head.split(" | ")[1].rstrip(" |"): (head, body)
          for told in TOLD for head, _, body in [told.partition("\n")]}  # fmt: skip

REPORT = """\
Subject: Undelivered Mail Returned to Sender
MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status; boundary=edge

--edge
Content-Type: text/plain

{text}

--edge
Content-Type: message/delivery-status

Reporting-MTA: dns; mx.example.net

Final-Recipient: rfc822; a@example.org
Action: failed
{fields}

--edge
Content-Type: text/rfc822-headers

Subject: Hello

--edge--
"""


def mail(shape: str) -> bytes:
    head, body = SHAPES[shape]
    text, mark, fields = body.rpartition("---\n")
    subject = head.split("|")[2].strip()
    told = f"Subject: {subject}\n\n{body}" if subject else REPORT.format(text=text, fields=fields)
    assert subject or mark
    return f"From: MAILER-DAEMON@mx.example.net\n{told}".encode()


@pytest.mark.parametrize(
    "shape", [name for name, (head, _) in SHAPES.items() if head[:4] == "hard"]
)
def test_a_dead_address_is_seen(shape: str) -> None:
    assert read(mail(shape)).kind == "hard"


@pytest.mark.parametrize(
    "shape", [name for name, (head, _) in SHAPES.items() if head[:4] != "hard"]
)
def test_what_may_pass_or_is_no_fault_of_the_reader_is_not_taken_for_it(shape: str) -> None:
    assert read(mail(shape)).kind in ("soft", "policy", "unknown")
