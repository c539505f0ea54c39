"""A picture drawn anew, so that of its file only what is to be seen stays.

Cameras and programs write into a file where and when it was taken, by which device and whom, and
sometimes what it was before it was cropped: no reader must get that. Decoding what strangers made
happens in a process of its own, with little memory and time, that holds no setting and no secret;
it reads a picture from its standard input and writes one to its standard output.
"""

import asyncio
import contextlib
import io
import resource
import sys
import warnings

from mailer.fetch.process import alone

SECONDS = 20
MEMORY = 1 << 30
MOST_WIDTH, MOST_HEIGHT = 1072, 2144
"""Pixels: twice what a mail shows, for fine screens."""

QUALITY = 85


async def redrawn(data: bytes) -> bytes | None:
    """As JPEG, or as PNG if it was one or is transparent; None if it can't be decoded."""
    process = await alone("mailer.fetch.redraw")
    try:
        async with asyncio.timeout(SECONDS):
            drawn, _ = await process.communicate(data)
    except (TimeoutError, OSError):
        return None
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
    return drawn if process.returncode == 0 and drawn else None


# in the process


def redraw(data: bytes) -> bytes:
    """Upright, in sRGB, no larger than mails need. Of an animation, its beginning."""
    from PIL import Image, ImageCms, ImageOps  # noqa: PLC0415  # in the process alone

    with Image.open(io.BytesIO(data), formats=("JPEG", "PNG", "GIF", "WEBP")) as opened:
        opened.draft("RGB", (MOST_WIDTH, MOST_HEIGHT))
        seen = ImageOps.exif_transpose(opened)
        clear = seen.has_transparency_data
        kind = "PNG" if clear or opened.format in ("PNG", "GIF") else "JPEG"
        profile = opened.info.get("icc_profile")
    shown = seen.convert("RGBA" if clear else "RGB")
    if profile:
        with contextlib.suppress(ImageCms.PyCMSError, OSError):
            theirs = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            ImageCms.profileToProfile(shown, theirs, ImageCms.createProfile("sRGB"), inPlace=True)
    shown.thumbnail((MOST_WIDTH, MOST_HEIGHT))
    # What was read along with it stays with the old one.
    bare = Image.new(shown.mode, shown.size)
    bare.paste(shown)
    out = io.BytesIO()
    bare.save(out, kind, optimize=True, quality=QUALITY)
    return out.getvalue()


def main() -> None:
    with contextlib.suppress(ValueError, OSError):  # macOS knows no RLIMIT_AS
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
    warnings.simplefilter("error")  # of a picture that claims to be huge
    sys.stdout.buffer.write(redraw(sys.stdin.buffer.read()))


if __name__ == "__main__":
    main()
