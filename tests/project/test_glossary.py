"""The words of the architecture are used, and the words that they replaced stay gone: in code, tests, documents and file names."""

from __future__ import annotations

import ast
import re
import subprocess
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).parents[2]
# What each word became is in docs/architecture.md, "Words". Databases that exist have the table of their first release.
GONE = re.compile(
    r"(?i)(?<![a-z])(?:workshops?|stor(?:y|ies)|tellers?|remembering\s?store|askers?|workplaces?|workbench|yards?|shel(?:f|ves)|people_dir|per_person"
    r"|houses?|make_house|may everything|whoever|none of th(?:is|at) name|one that|(?<=_)(?:stor(?:y|ies)))(?![a-z])"
)
ALLOWED = {"tests/project/test_glossary.py", "tests/store/test_upgrade.py"}  # the second makes a database of the first release
PACKAGES = ("binder_client/", "binderhub_service/", "spawner/")
HISTORY = ("binderhub_service/store/migrations/versions/", "CHANGELOG.md")
TEXT = {".py", ".md", ".js", ".mjs", ".json", ".yaml", ".html", ".sh", ".toml", ".tpl"}


def tracked() -> list[str]:
    """Return the project's files, those that are new included."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
    return [name for name in names if (ROOT / name).is_file()]


def uses_of(name: str) -> list[str]:
    text = (ROOT / name).read_text(encoding="utf-8") if Path(name).suffix in TEXT else ""
    found = [f"{name}:{number}: {line.strip()}" for number, line in enumerate(text.splitlines(), start=1) if GONE.search(line)]
    return [*found, *([name] if GONE.search(name) else [])]


def test_a_class_has_a_name_of_its_own() -> None:
    files = [ROOT / name for name in tracked() if name.startswith(PACKAGES) and name.endswith(".py")]
    names = Counter(node.name for file in files for node in ast.parse(file.read_text(encoding="utf-8")).body if isinstance(node, ast.ClassDef))
    assert [name for name, count in names.items() if count > 1] == []


def test_words_that_were_replaced_stay_gone() -> None:
    names = [name for name in tracked() if name not in ALLOWED and not name.startswith(HISTORY)]
    assert [use for name in names for use in uses_of(name)] == []


def test_a_word_that_was_replaced_is_found() -> None:
    assert all(
        GONE.search(text)
        for text in ("class Workshop:", "the build's story", "test_a_story_ends", "asker: str", "two yards", "a house without limits")
    )
    assert all(GONE.search(text) for text in ("test_whoever_asks", "Whoever has it", "there is none of this name", "One that waits"))
    assert not any(GONE.search(text) for text in ("history", "tasker", "Store", "a backyard"))
