"""Which environments count as tried."""

from __future__ import annotations

from pathlib import Path

import pytest

from binderhub_service.worker.recipes.tried import files_mark, is_tried, note_tried

RECORD = "six.py,sha256=abc,3\nsix-1.0.dist-info/RECORD,,\n"


def environment(folder: Path, record: str | None = RECORD, python: str | None = "version = 3.11.7\n") -> Path:
    package = folder / "lib" / "python3.11" / "site-packages" / "six-1.0.dist-info"
    package.mkdir(parents=True)
    if record is not None:
        (package / "RECORD").write_text(record)
    if python is not None:
        (folder / "pyvenv.cfg").write_text(python)
    return folder


def test_an_environment_with_the_same_files_and_the_same_python_counts_as_tried(tmp_path: Path) -> None:
    tried, same = environment(tmp_path / "tried"), environment(tmp_path / "same", f"{RECORD}../../../bin/six,sha256=of-this-path,9\n")
    note_tried(tried, files_mark(tried))
    assert is_tried(files_mark(same), [tmp_path / "gone", tried])
    assert not is_tried(files_mark(environment(tmp_path / "more", f"{RECORD}more.py,sha256=def,3\n")), [tried])
    assert not is_tried(files_mark(environment(tmp_path / "other", python="version = 3.12.1\n")), [tried])


@pytest.mark.parametrize(("record", "python"), [(None, "version = 3.11.7\n"), (RECORD, None), ("six.py,,\n", "version = 3.11.7\n")])
def test_an_environment_of_which_not_all_is_known_is_tried_each_time(tmp_path: Path, record: str | None, python: str | None) -> None:
    unknown = environment(tmp_path / "unknown", record, python)
    assert files_mark(unknown) == ""
    note_tried(unknown, "")
    assert not is_tried("", [unknown])
