"""A self-hosted newsletter service that mails only those who asked, and can prove it."""

from pathlib import Path

__version__ = "0.1.0"


def resources(name: str) -> Path:
    """The folder `sql` or `templates`: beside the package in a checkout, inside it in a wheel."""
    package = Path(__file__).parent
    inside = package / name
    return inside if inside.is_dir() else package.parent / name
