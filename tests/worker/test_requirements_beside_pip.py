"""Requirements files as people write them: what uv installs of our translation is what pip installs of the file."""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from binderhub_service.errors import BuildFailed
from binderhub_service.process.programs import find_uv
from binderhub_service.worker.environments import definition_in
from tests.harness.index_server import PackageIndex

BACKEND = """
from pathlib import Path

def prepare_metadata_for_build_wheel(directory, settings=None):
    info = Path(directory, "own-1.0.dist-info")
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\\nName: own\\nVersion: 1.0\\nRequires-Dist: idna\\n")
    return info.name

prepare_metadata_for_build_editable = prepare_metadata_for_build_wheel
build_wheel = build_editable = None
"""
OWN = {"pyproject.toml": "[build-system]\nrequires = []\nbuild-backend = 'backend'\nbackend-path = ['.']\n", "backend.py": BACKEND}
IN_FOLDER = {f"own/{name}": text for name, text in OWN.items()}
Text = str | bytes
# What is in requirements.txt, or the files of a repository.
FILES: dict[str, Text | Mapping[str, Text]] = {
    "names": "six\nidna\n",
    "no newline at the end": "six\nidna",
    "pins": "six==1.16.0\nidna==3.6\n",
    "bounds": "six>=1.10,<1.17\nidna~=3.4\n",
    "bounds with blanks": "six >= 1.10 , < 1.17\n",
    "bounds with tabs": "six\t>=\t1.10\n",
    "all but one": "idna!=3.7\n",
    "a series": "six==1.16.*\n",
    "an exact text": "six===1.16.0\n",
    "a version with a v": "six==v1.16.0\n",
    "in brackets": "six (>=1.10)\nidna(==3.6)\n",
    "a semicolon at the end": "six;\nidna ; \n",
    "comments": "# top\nsix  # why\n\n   # indented\nidna\t# why\n",
    "only comments": "# nothing\n\n",
    "empty": "",
    "ends of Windows": "six\r\nidna==3.6\r\n",
    "ends of old Macs": "six\ridna\r",
    "a mark": "\ufeffsix\nidna\n",
    "UTF-16": "six\nidna\n".encode("utf-16"),
    "Latin-1 that says so": "# -*- coding: latin-1 -*-\n# caf\u00e9\nsix\n".encode("latin-1"),
    "continued": "six \\\n  >=1.10\nidna\\\n==3.6\n",
    "continued, of Windows": "six \\\r\n  ==1.16.0\r\n",
    "a comment that looks continued": "# why \\\nsix\nidna # why \\\nnothing-of-this-name\n",
    "a comment in between": "six \\\n# why\nidna\n",
    "a backslash at the end": "six\nidna \\",
    "capitals": "SIX\nIdna==3.6\n",
    "underscores": "of_two_words\n",
    "dots": "of.two.words\n",
    "twice": "six\nsix\n",
    "twice, once pinned": "six\nsix==1.16.0\n",
    "a contradiction": "six==1.15.0\nsix==1.16.0\n",
    "an extra": "ask[socks]\n",
    "extras with blanks": "ask [ socks ] >= 1\n",
    "an unknown extra": "ask[nothing]\n",
    "markers": "six; python_version >= '3.6'\nidna; sys_platform == 'win32'\n",
    "markers without blanks": 'six;python_version>"3"\n',
    "markers of the past": "six==1.15.0; python_version < '3'\nsix==1.16.0; python_version >= '3'\n",
    "for Windows only, of no name": "pywin32; platform_system == 'Windows'\nsix\n",
    "an early version that is named": "six==2.0rc1\n",
    "early versions": "--pre\nsix\n",
    "a version that is not there": "six==99\n",
    "a package that is not there": "nothing-of-this-name\n",
    "another file": {"requirements.txt": "-r more.txt\nsix\n", "more.txt": "idna==3.6\n"},
    "another file, no blank": {"requirements.txt": "-rmore.txt\n", "more.txt": "six\n"},
    "another file, in long": {"requirements.txt": "--requirement more.txt\n", "more.txt": "six\n"},
    "another file, and back": {"requirements.txt": "--requirement=req/base.txt\n", "req/base.txt": "-r ../own.txt\nsix\n", "own.txt": "idna\n"},
    "another file that is not there": "-r more.txt\nsix\n",
    "constraints": {"requirements.txt": "-c constraints.txt\nsix\n", "constraints.txt": "six==1.15.0\nnothing-of-this-name==1\n"},
    "constraints, in long": {"requirements.txt": "--constraint=constraints.txt\nsix\n", "constraints.txt": "six<1.16  # why\n"},
    "hashes": "six==1.16.0 \\\n    --hash=sha256:{six} \\\n    --hash=sha256:{zeros}\n",
    "hashes that are required": "--require-hashes\nsix==1.16.0 --hash=sha256:{six}\n",
    "the repository": {"requirements.txt": ".\n", **OWN},
    "the repository, to be edited": {"requirements.txt": "-e .\n", **OWN},
    "a folder": {"requirements.txt": "./own\nsix\n", **IN_FOLDER},
    "a folder, with a slash": {"requirements.txt": "own/\n", **IN_FOLDER},
    "a folder, to be edited": {"requirements.txt": "--editable=./own\n", **IN_FOLDER},
    "an index": "-i {index}\nsix\n",
    "an index, in long": "--index-url={index}/\n--trusted-host 127.0.0.1\nsix\n",
    "one more index": "--extra-index-url {index} --trusted-host 127.0.0.1\nsix\n",
    "a folder of files": {"requirements.txt": "--find-links ./wheels\n-f wheels\nsix\n", "wheels/README.md": ""},
    "no binaries of some": "--no-binary own\nsix\n",
    "binaries only": "--only-binary=:all:\nsix\n",
    "rather binaries": "--prefer-binary\nsix\n",
    "a feature of pip's": "--use-feature=fast-deps\nsix\n",
    "a file by its address": "{index}/six/six-1.16.0-py3-none-any.whl\n",
    "a file by its address, under a name": "six @ {index}/six/six-1.16.0-py3-none-any.whl\n",
    "a file that is not there": "./missing.whl\n",
    "of conda": "six=1.16.0\nidna=3.6=py311_0\n",
    "a path of another machine": "six @ file:///croot/six_1691432231/work\n",
    "no operator": "six 1.16.0\n",
    "quotes": '"six"\n',
    "a hash without a blank before": "six#why\n",
}


PIP = """
import json, os, sys
import pip._internal.commands.install, pip._internal.resolution.resolvelib.resolver
from pip._internal.cli.main import main

for line in sys.stdin:
    folder, *arguments = json.loads(line)
    child = os.fork()
    if child == 0:
        os.chdir(folder)
        os.dup2(2, 1)
        os._exit(main(arguments))
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PackageIndex]:
    index = PackageIndex(tmp_path_factory.mktemp("index"))
    for version in ("1.15.0", "1.16.0", "1.17.0", "2.0rc1"):
        index.add("six", version)
    for version in ("3.6", "3.7"):
        index.add("idna", version)
    index.add("of-two-words")
    index.add("sock")
    index.add("ask", requires="sock ; extra == 'socks'\nProvides-Extra: socks")
    with index.running():
        yield index


def write(folder: Path, files: Mapping[str, Text], values: Mapping[str, str]) -> None:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(text, str) and name.endswith(".txt"):
            for key, value in values.items():
                text = text.replace(f"{{{key}}}", value)
        path.write_bytes(text.encode() if isinstance(text, str) else text)


@pytest.fixture(scope="module")
def pip() -> Iterator[subprocess.Popen[str]]:
    """Pip, which has imported everything once, for one command a line: a folder, then arguments. It answers with the exit status."""
    with subprocess.Popen(
        [sys.executable, "-c", PIP], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        yield process


def by_pip(pip: subprocess.Popen[str], folder: Path, index: str) -> set[str] | None:
    """Return what pip would install, as ``name``, or ``name==version`` from the index; None if it refuses."""
    command = ("--isolated", "install", "--dry-run", "--ignore-installed", "--no-input", "--quiet")
    asked = ("--report", "report.json", "--index-url", index, "-r", "requirements.txt")
    assert pip.stdin
    assert pip.stdout
    pip.stdin.write(json.dumps([str(folder), *command, *asked]) + "\n")
    pip.stdin.flush()
    if pip.stdout.readline() != "0\n":
        return None
    report = folder / "report.json"
    found = json.loads(report.read_text())["install"] if report.exists() else []
    return {named(one["metadata"]["name"], "" if one["is_direct"] else one["metadata"]["version"]) for one in found}


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache for uv, which has nothing of what other people have cached."""
    return tmp_path_factory.mktemp("cache")


def by_uv(folder: Path, index: str, cache: Path) -> set[str] | None:
    """Return the same of uv, for which the requirements files are translated first."""
    try:
        definition = definition_in(folder)
    except BuildFailed:
        return None
    for path, text in definition.rewritten.items():
        (folder / path).write_text(text)
    command = (find_uv(), "--no-config", "--cache-dir", str(cache), "pip", "install", "--dry-run", "--reinstall", "--python", sys.executable)
    early = ("--prerelease", "allow") if definition.early else ()
    asked = ("--default-index", index, *early, "-r", "requirements.txt")
    ended = subprocess.run([*command, *asked], cwd=folder, capture_output=True, text=True, check=False)
    if ended.returncode:
        return None
    return {named(name, version) for name, version in re.findall(r"^ \+ ([^\s=@]+)(?:==(\S+)(?! \(from))?", ended.stderr, re.MULTILINE)}


def named(name: str, version: str) -> str:
    name = re.sub(r"[-_.]+", "-", name).lower()
    return f"{name}=={version}" if version else name


@pytest.mark.parametrize("case", FILES)
def test_uv_installs_what_pip_installs(case: str, index: PackageIndex, pip: subprocess.Popen[str], cache: Path, tmp_path: Path) -> None:
    given = FILES[case]
    files = given if isinstance(given, Mapping) else {"requirements.txt": given}
    wheel = index.root / "six" / "six-1.16.0-py3-none-any.whl"
    values = {"index": index.url, "six": hashlib.sha256(wheel.read_bytes()).hexdigest(), "zeros": "0" * 64}
    for tool in ("pip", "uv"):
        write(tmp_path / tool, files, values)
    assert by_uv(tmp_path / "uv", index.url, cache) == by_pip(pip, tmp_path / "pip", index.url)
