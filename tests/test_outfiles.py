"""Files that leave the house: whole or not at all, and never in the place of what is no file."""

import os
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from mailer.outfiles import Outfile


def test_a_file_is_replaced_whole_and_only_when_it_is_published(tmp_path: Path) -> None:
    out = tmp_path / "list.csv"
    out.write_text("before")
    with Outfile(out) as file:
        with file.writing() as write:
            write("after")
        assert out.read_text() == "before"
        file.publish()
    assert out.read_text() == "after"
    assert list(tmp_path.iterdir()) == [out]


def test_what_is_not_published_leaves_nothing(tmp_path: Path) -> None:
    with Outfile(tmp_path / "list.csv") as file, file.writing() as write:
        write("half")
    assert list(tmp_path.iterdir()) == []


def test_a_pipe_or_device_is_written_into_and_stays_what_it_is(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with ThreadPoolExecutor() as reading, Outfile(pipe) as file:
        read = reading.submit(pipe.read_text)
        with file.writing() as write:
            write("all of it")
        file.publish()
        assert read.result(10) == "all of it"
    assert stat.S_ISFIFO(pipe.stat().st_mode)
    assert list(tmp_path.iterdir()) == [pipe]
