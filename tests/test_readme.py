"""What is written for people says what is so."""

import re
from pathlib import Path

import mailer

TOP = Path(mailer.__file__).parents[1]
README = (TOP / "README.md").read_text("utf-8")
SETTING = re.compile(r"MAILER_[A-Z_]+[A-Z]")


def settings() -> set[str]:
    """Those that the configuration reads."""
    named = SETTING.findall((TOP / "mailer" / "config.py").read_text("utf-8"))
    return {name.removesuffix("_FILE") for name in named}


def test_every_setting_is_in_the_readme_and_in_the_example() -> None:
    example = (TOP / ".env.example").read_text("utf-8")
    table = "".join(line for line in README.splitlines() if line.startswith("| `MAILER_"))
    assert set(SETTING.findall(table)) == settings()
    assert set(SETTING.findall(example)) == settings()
