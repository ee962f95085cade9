"""What uv says, recorded from uv 0.13, as a sentence that names the requirement and the cause."""

from __future__ import annotations

import pytest

from binderhub_service.worker.recipes.install_errors import install_error, python_error
from binderhub_service.worker.recipes.uv_output import UvOutput

NO_SOLUTION = "error: No solution found when resolving dependencies\n  cause: "
UNSATISFIABLE = "we can conclude that your requirements are unsatisfiable."
NO_LINE = "error: Couldn't parse requirement in `requirements.txt` at position 0\n  cause: Expected one of `@`, `(`, found `x`\n         {}\n"
SAID = {
    "one equals sign": (
        'error: Couldn\'t parse requirement in `requirements.txt` at position 0\n  cause: no such comparison operator "=", must be one of '
        "~= == != <= >= < > ===\n         six=1.16.0\n            ^^^^^^^\n",
        "The line six=1.16.0 in requirements.txt is written for conda, with one equals sign. Write six==1.16.0, with two.",
    ),
    "a build of conda": (
        'error: Couldn\'t parse requirement in `requirements.txt` at position 0\n  cause: no such comparison operator "=", must be one of ~= == ===\n'
        "         numpy=1.19.2=py38h54aff64_0\n              ^^^\n",
        "Write numpy==1.19.2, with two.",
    ),
    "a line that is no requirement": (
        "error: Couldn't parse requirement in `requirements.txt` at position 0\n  cause: Expected one of `@`, `(`, found `a`\n"
        "         not a line !!\n",
        "The line not a line !! in requirements.txt is not a requirement",
    ),
    "a name of conda's own": (
        "error: Unexpected '_', expected '-c', '-e', '-r' or the start of a requirement: requirements.txt:3:1\n",
        "Line 3 of requirements.txt is not a requirement: no package's name begins with '_'. Write name==version",
    ),
    "a sign that is not seen": (
        "error: Unexpected '\u200b', expected '-c', '-e', '-r' or the start of a requirement: binder/requirements.txt:2:1\n",
        "Line 2 of binder/requirements.txt is not a requirement: no package's name begins with U+200B, which is not seen.",
    ),
    "a repository by ssh": (
        "error: Git operation failed\n  cause: process didn't exit successfully: `git fetch 'ssh://git:secret@example.org/o/r.git' '+HEAD:x'`\n",
        "The requirement o/r.git at example.org could not be fetched by ssh: a build has no key for it. Write git+https://",
    ),
    "an address that is not there": (
        "error: Failed to download `six @ https://me:secret@nowhere.invalid/six-1.0-py3-none-any.whl`\n  cause: Failed to fetch: https://x/\n"
        "  cause: dns error\n",
        "The requirement six could not be fetched from nowhere.invalid. Check its address",
    ),
    "a repository that is not there": (
        "error: Failed to download and build `six @ git+https://me:secret@git.example.org/six.git`\n  cause: Git operation failed\n  cause: x\n",
        "The requirement six could not be fetched from git.example.org. Check its address",
    ),
    "a branch that is not there": (
        "error: Failed to download and build `six @ git+https://git.example.org/six.git@gone`\n  cause: Git operation failed\n"
        "  cause: failed to fetch branch or tag `gone`\n",
        "The repository of the requirement six at git.example.org has no branch, tag or commit 'gone', or cannot be read.",
    ),
    "a repository without a name of a package": (
        "error: Git operation failed\n  cause: process didn't exit successfully: `git fetch --force 'https://git.example.org/six.git' '+HEAD:x'`\n",
        "A requirement could not be fetched from git.example.org. Check its address",
    ),
    "a repository by ssh in short": (
        "error: Failed to download and build `p @ file:///b/content/git+git@github.com:o/p.git`\n  cause: Git operation failed\n",
        "The address git@github.com:o/p.git of a requirement is no URL. Write git+https://github.com/o/p.git;",
    ),
    "a package by another name": (
        "error: Failed to download and build `other @ git+https://h/p.git`\n  cause: Package metadata name `p` does not match given name `other`\n",
        "The requirement other is called p where it comes from. Write p behind #egg=",
    ),
    "a file with another hash": (
        "error: Failed to download `six==1.16.0`\n  cause: Hash mismatch for `six==1.16.0`\n\n         Expected:\n           sha256:00\n",
        "The file of six==1.16.0 in the package index has none of the hashes that the requirements give.",
    ),
    "a path of another machine": (
        "error: Distribution not found at: file:///croot/certifi_1671487769961/work/certifi\n",
        "names a path of the machine where the list was made. Write the package's name and version",
    ),
    "another Python": (
        f"{NO_SOLUTION}Because tensorflow==2.4.0 has no wheels with a matching Python ABI tag (e.g., `cp311`) and you require tensorflow==2.4.0, "
        f"{UNSATISFIABLE}\n\nhint: You require CPython 3.11 (`cp311`), but we only found wheels for `tensorflow` (v2.4.0) with the following "
        "Python ABI tags: `cp36m`, `cp37m`, `cp38`\n",
        "tensorflow==2.4.0 is not for Python 3.11. Ask for another Python in a file runtime.txt, e.g. python-3.8,",
    ),
    "another system": (
        f"{NO_SOLUTION}Because pywin32==306 has no wheels with a matching platform tag (e.g., `manylinux_2_36_x86_64`) and you require pywin32==306, "
        f"{UNSATISFIABLE}\n\nhint: Wheels are available for `pywin32` (v306) on the following platforms: `win32`, `win_amd64`, `win_arm64`\n",
        "pywin32==306 is made for Windows only.",
    ),
    "a login": (
        f"{NO_SOLUTION}Because six was not found in the package registry and you require six, {UNSATISFIABLE}\n\nhint: An index URL "
        "(http://me:secret@packages.example/simple) could not be queried due to a lack of valid authentication credentials (401 Unauthorized)\n",
        "The package index at packages.example wants a login, which this hub does not have.",
    ),
    "a name that is not there": (
        f"{NO_SOLUTION}Because nosuchpkg was not found in the package registry and you require nosuchpkg, {UNSATISFIABLE}\n",
        "The requirement nosuchpkg does not exist in the package index.",
    ),
    "a version that is not there": (
        f"{NO_SOLUTION}Because there is no version of six==99 and you require six==99, {UNSATISFIABLE}\n",
        "There is no version of the requirement six==99.",
    ),
    "a module of Python that an index has without a version": (
        f"{NO_SOLUTION}Because there are no versions of unittest and you require unittest, {UNSATISFIABLE}\n",
        "There is no version of the requirement unittest. It is part of Python itself: remove it.",
    ),
    "a conflict": (
        f"{NO_SOLUTION}Because fieldtorch==1.0 depends on idna==2.0 and jupyterlab>=4 depends on idna>=3,\n"
        f"      And because you require fieldtorch==1.0 and jupyterlab>=4, {UNSATISFIABLE}\n",
        "or what a Jupyter server needs: fieldtorch==1.0 and jupyterlab>=4.",
    ),
    "the repository's own package": (
        "error: Failed to build `own @ file:///state/images/own/content`\n  cause: The build backend returned an error\n"
        "  cause: Call to `setuptools.build_meta.get_requires_for_build_wheel` failed (exit status: 1)\n\n         [stderr]\n"
        "         no way\n\nhint: Build failures usually indicate a problem with the package or the build environment\n",
        "The repository's own package own could not be built. It said: no way.",
    ),
    "a compiler": (
        "error: Failed to build `psutil==5.0`\n  cause: The build backend returned an error\n\n         [stderr]\n"
        "         error: command 'gcc' failed: No such file or directory\n\nhint: Build failures usually indicate\n",
        "psutil==5.0 could not be built from source: it needs a compiler or a library of the system.",
    ),
    "an old setup.py": (
        "error: Failed to build `markupsafe==1.0`\n  cause: The build backend returned an error\n\n         [stderr]\n"
        "         ImportError: cannot import name 'Feature' from 'setuptools'\n\nhint: Build failures usually indicate\n",
        "It said: ImportError: cannot import name 'Feature' from 'setuptools'.",
    ),
    "an index that is away": ("error: Failed to fetch: `http://127.0.0.1:1/six/`\n  cause: tcp connect error\n", "could not be reached."),
    "a module of Python's own": (
        f"{NO_SOLUTION}Because glob was not found in the package registry and you require glob, {UNSATISFIABLE}\n",
        "The requirement glob does not exist in the package index. It is part of Python itself: remove it.",
    ),
    "what pip list prints": (NO_LINE.format("Package    Version"), "This is what pip list prints; write what pip freeze prints."),
    "a command of pip": (NO_LINE.format("!pip install six"), "Write only what is to be installed"),
    "a line of Python": (NO_LINE.format("import six"), "without the word import"),
    "a list with commas": (NO_LINE.format("six, idna"), "Write one package a line"),
    "names on one line": (NO_LINE.format("six idna"), "Write one package a line."),
    "a version without a comparison": (NO_LINE.format("six 1.16.0"), "Write == between name and version."),
    "a comparison the wrong way round": (NO_LINE.format("six=>1.16"), "Write >= for it."),
    "another the wrong way round": (NO_LINE.format("six =~ 1.16"), "Write ~= for it."),
    "two conditions without a comma": (NO_LINE.format("six>=1.10<2"), "Write a comma between two conditions"),
    "the page of a repository": (NO_LINE.format("https://github.com/o/r"), "Write git+ in front of the address of a repository"),
    "a page of the web": (
        "error: Unexpected '<', expected '-c', '-e', '-r' or the start of a requirement: requirements.txt:1:1\n",
        "Or it is a page of the web: write one package a line.",
    ),
    "quotation marks": (
        "error: Unexpected '\"', expected '-c', '-e', '-r' or the start of a requirement: requirements.txt:1:1\n",
        "Remove the quotation marks.",
    ),
    "a project without a name": (
        "error: Failed to parse: pyproject.toml\n  cause: TOML parse error at line 1, column 1\n         1 | [project]\n           | ^\n"
        "         `pyproject.toml` is using the `[project]` table, but the required `project.name` field is not set\n",
        "The file pyproject.toml cannot be used: `pyproject.toml` is using the `[project]` table, but the required `project.name` field is not set.",
    ),
    "a file of the repository": (
        "error: Distribution not found at: file:///s/images/.made/r.1/content/my%20wheels/x-1.0-py3-none-any.whl\n",
        "The requirement my wheels/x-1.0-py3-none-any.whl would be a file of the repository, and is not there.",
    ),
    "Debian's mistake": (
        f"{NO_SOLUTION}Because pkg-resources was not found in the package registry and you require pkg-resources==0.0.0, {UNSATISFIABLE}\n",
        "It is a mistake of Debian's pip freeze: remove it.",
    ),
    "Python itself": (
        f"{NO_SOLUTION}Because python was not found in the package registry and you require python==3.9, {UNSATISFIABLE}\n",
        "runtime.txt",
    ),
    "a version of another index": (
        f"{NO_SOLUTION}Because there is no version of torch==1.9.0+cu111 and you require torch==1.9.0+cu111, {UNSATISFIABLE}\n",
        "What stands behind + is of another index",
    ),
    "a name that is mistaken for another": (
        "error: Failed to build `sklearn==0.0.post12`\n  cause: The build backend returned an error\n\n         [stderr]\n         no\n\n"
        "hint: `sklearn` is often confused for `scikit-learn`. Did you mean to install `scikit-learn` instead?\n",
        "could not be built from source. Probably scikit-learn is meant.",
    ),
    "an error before advice": (
        "error: Failed to build `a @ file:///s/content`\n  cause: The build backend returned an error\n\n         [stderr]\n"
        "         error: Multiple top-level packages discovered in a flat-layout: ['data', 'nb'].\n\n         To find more, look for docs.\n",
        "It said: Multiple top-level packages discovered in a flat-layout: ['data', 'nb'].",
    ),
    "a setup.py that does not run": (
        "error: The build backend returned an error\n  cause: Call to `x` failed\n\n         [stderr]\n         SyntaxError: Missing parentheses\n",
        "The repository's own package could not be built. It said: SyntaxError: Missing parentheses.",
    ),
    "a folder without a project": (
        "error: `/state/images/.made/x/` does not appear to be a Python project, as neither `pyproject.toml` nor `setup.py` are present\n",
        "is no Python project: it has no pyproject.toml and no setup.py. Paths begin at the root of the repository",
    ),
    "constraints that are away": (
        "error: Error parsing included file in `requirements.txt` at position 4\n  cause: Error while accessing remote requirements file: "
        "https://me:secret@c.example.org/c.txt\n  cause: error sending request for url (https://c.example.org/c.txt)\n",
        "The requirements that are at c.example.org could not be fetched.",
    ),
    "a conflict of Git": ("error: Unexpected '<', expected '-c', '-e', '-r' or the start of a requirement: requirements.txt:1:1\n", "resolve it."),
    "something new": ("error: the moon is full\n", "The requirements could not be installed."),
}


@pytest.mark.parametrize("case", SAID)
def test_what_uv_says_becomes_a_sentence_with_the_cause(case: str) -> None:
    said, expected = SAID[case]
    error = install_error(said)
    assert expected in f"{error.message} {error.hint}"
    assert "secret" not in f"{error.message} {error.hint}"


@pytest.mark.parametrize(
    "beginning", ["\x1b[31merror\x1b[0m: Failed to build `numpy==1.19.2`", "  \x1b[31m\N{MULTIPLICATION SIGN}\x1b[0m Failed to build `numpy==1.19.2`"]
)
def test_what_could_not_be_built_is_named_however_much_its_build_has_printed(beginning: str) -> None:
    printed = [beginning, "  cause: The build backend returned an error", *(f"         line {number}" for number in range(200))]
    output = UvOutput()
    for line in printed:
        assert output.lines(line) == (line,)
    error = install_error(output.said("\n".join(printed[-50:])))
    assert error.message == "The requirement numpy==1.19.2 could not be built from source. It said: line 199."


def test_a_short_error_is_read_once() -> None:
    output = UvOutput()
    output.lines("error: the moon is full")
    assert output.said("one\nerror: the moon is full") == "one\nerror: the moon is full"


def test_a_python_that_is_not_there_is_named() -> None:
    error = python_error("3.99", "error: No interpreter found for Python 3.99 in managed installations or search path\n")
    assert error.message == "Python 3.99, which the repository asks for, is not available here."
