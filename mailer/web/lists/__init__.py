"""Lists of people brought over on a page: uploaded, looked at, read, confirmed, watched."""

from mailer.web.lists.going import cancel, live, start, stop, stop_page
from mailer.web.lists.reading import faults, read, show
from mailer.web.lists.uploading import listing, upload

__all__ = [
    "cancel",
    "faults",
    "listing",
    "live",
    "read",
    "show",
    "start",
    "stop",
    "stop_page",
    "upload",
]
