"""Folders for what is not whole yet: leftovers go with the next, folders at work stay."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from spanishgas.engine.drafts import draft_folder

HOLDING = """
import sys, time
from pathlib import Path
from spanishgas.engine.drafts import draft_folder
with draft_folder(Path(sys.argv[1]), "made") as folder:
    (folder / "half").write_text("half")
    print(folder, flush=True)
    time.sleep(600)
"""


def test_what_is_moved_out_stays_and_the_rest_goes_whatever_happens(tmp_path: Path) -> None:
    with draft_folder(tmp_path / "new", "made") as folder:
        (folder / "whole").write_text("whole")
        (folder / "half").write_text("half")
        (folder / "whole").rename(tmp_path / "whole")

    def fail() -> None:
        with draft_folder(tmp_path / "new", "made") as folder:
            (folder / "half").write_text("half")
            raise OSError("full")

    with pytest.raises(OSError, match="full"):
        fail()
    assert [file.name for file in tmp_path.rglob("*") if file.is_file()] == ["whole"]
    assert list((tmp_path / "new").iterdir()) == []


def test_nobody_else_may_look_into_it(tmp_path: Path) -> None:
    with draft_folder(tmp_path, "made") as folder:
        assert folder.parent.stat().st_mode & 0o077 == 0


def test_what_a_killed_process_left_goes_with_the_next_and_what_is_held_stays(tmp_path: Path) -> None:
    def begun() -> tuple["subprocess.Popen[str]", Path]:
        child = subprocess.Popen(
            [sys.executable, "-c", HOLDING, str(tmp_path)], stdout=subprocess.PIPE, text=True, env=dict(os.environ)
        )
        assert child.stdout is not None
        return child, Path(child.stdout.readline().strip())

    killed, left = begun()
    other = tmp_path / ".other.unfinished-1"
    other.mkdir()
    held, kept = begun()
    try:
        assert (left / "half").is_file()  # it is at work still
        killed.send_signal(signal.SIGKILL)
        killed.wait()
        with draft_folder(tmp_path, "made"):
            assert not left.parent.exists()
            assert (kept / "half").is_file()
            assert other.is_dir()
    finally:
        for child in (killed, held):
            child.kill()
            child.wait()
            assert child.stdout is not None
            child.stdout.close()
