"""Why a script of a repository cannot run or has failed, as a sentence."""

from __future__ import annotations

from pathlib import Path

import pytest

from binderhub_service.common.repo_environment import script_problem
from binderhub_service.errors import BuildFailed
from binderhub_service.worker.job import Job, ProcessLimits
from binderhub_service.worker.recipes.script_errors import why_script_failed
from binderhub_service.worker.recipes.sharing import definition_of
from spawner.rejection import script_ended

FAILED = [
    (b"#!/bin/bash\necho x\r\npip --version\r\n", "no such option: --version\r\n", "It has Windows line endings"),
    (b"conda install x\n", "postBuild: line 2: conda: command not found\n", "There is no conda here: embedded mode has no conda."),
    (b"sudo apt-get install x\n", "postBuild: line 2: sudo: command not found\n", "embedded mode has no rights of an administrator."),
    (b"npm ci\n", "postBuild: 2: npm: not found\n", "The program npm is not here"),
    (b"bash a/x.sh\n", "a/x.sh: line 2: cd: $'/tmp\\r': No such file or directory\n", "The script a/x.sh that it calls has Windows line endings"),
    (b"./y.sh\n", "/b/postBuild: line 3: ./y.sh: cannot execute: required file not found\n", "The script ./y.sh that it calls has Windows"),
    (b"./y.sh\n", "postBuild: ./y.sh: /bin/bash^M: bad interpreter: No such file or directory\n", "The script ./y.sh that it calls has Windows"),
    (b"./y.sh\n", "/b/postBuild: line 2: ./y.sh: Permission denied\n", "./y.sh is not executable: call it with bash"),
    (
        b"pip install --user six\n",
        "ERROR: Can not perform a '--user' install. User site-packages are not visible in this virtualenv.\n",
        "Leave --user out of pip install",
    ),
    (b"touch /x\n", "/b/postBuild: line 2: /x: Permission denied\n", ""),
    (b"exit 3\n", "something else\n", ""),
]


@pytest.mark.parametrize(("script", "tail", "said"), FAILED)
def test_a_script_that_failed_is_told_why_where_that_can_be_seen(script: bytes, tail: str, said: str) -> None:
    why = why_script_failed(script, tail)
    assert said in why if said else not why


@pytest.mark.parametrize(
    ("content", "said"),
    [("#!/bin/bash\n".encode("utf-16"), "saved as UTF-16"), (b"#!/bin/bash\r\n", "Windows line endings"), (b"#!/bin/bash\n", None)],
)
def test_a_script_that_cannot_run_is_told_before_it_is_tried(content: bytes, said: str | None) -> None:
    problem = script_problem("start", content)
    assert (problem is None) if said is None else (problem and said in problem[0] and problem[1])


JOB = Job("1", "https://h/r", "https://h/r", "main", "0" * 40, "image", False, "/nowhere", "", {}, ProcessLimits())


@pytest.mark.parametrize("name", ["start", "postBuild", "binder/start"])
@pytest.mark.parametrize("content", [b"#!/bin/bash\r\necho\r\n", "#!/bin/bash\n".encode("utf-16")])
def test_a_script_that_cannot_run_in_a_container_is_told_before_anything_is_built(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_bytes(content)
    with pytest.raises(BuildFailed, match=f"The script {name} ") as caught:
        definition_of(JOB, tmp_path)
    assert caught.value.code == "script_invalid"


def test_a_script_that_a_shell_runs_is_left_to_it(tmp_path: Path) -> None:
    (tmp_path / "postBuild").write_bytes(b"echo\r\n")
    (tmp_path / "start").write_bytes(b'#!/bin/bash\nexec "$@"\r\n')
    assert definition_of(JOB, tmp_path).start == "start"


def test_a_start_script_that_fails_is_named() -> None:
    assert "The server ended with status 2 while it started. What it said" in str(script_ended("start", 2))
    assert "It may have been the script start that ended" in str(script_ended("start", 2))


def test_a_start_script_that_misses_a_program_is_named() -> None:
    assert "The script start ended with status 127: a program that it names is not here." in str(script_ended("start", 127))
