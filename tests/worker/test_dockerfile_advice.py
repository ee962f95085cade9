"""Which line of a Dockerfile is said to stand too early."""

from __future__ import annotations

import pytest

from binderhub_service.worker.recipes.dockerfile_advice import advice_on

BASE = "FROM python:3.12\n"
INSTALL = "RUN pip install --no-cache-dir -r requirements.txt\n"
ADVISED = {
    "a copy of everything": (f"{BASE}COPY . /home/jovyan\n{INSTALL}", (2, 3)),
    "into the working folder": (f"{BASE}WORKDIR /srv\nCOPY . .\nUSER root\n{INSTALL}", (3, 5)),
    "with an owner": (f"{BASE}COPY --chown=jovyan:users ./ /srv/\n{INSTALL}", (2, 3)),
    "as JSON": (f'{BASE}COPY [".", "/srv"]\n{INSTALL}', (2, 3)),
    "ADD": (f"{BASE}ADD . /srv\n{INSTALL}", (2, 3)),
    "small letters and comments": (f"# mine\nfrom x\n# all of it\ncopy . /srv\n{INSTALL}", (4, 5)),
    "lines that go on": (f"{BASE}COPY . /srv\nRUN apt-get update \\\n    # tools\n    && apt-get install -y \\\n    git\n", (2, 3)),
    "conda": (f"{BASE}COPY . /srv\nRUN mamba env update --file environment.yml\n", (2, 3)),
    "R": (f"{BASE}COPY . /srv\nRUN R -e \"install.packages('x')\"\n", (2, 3)),
    "in the last stage": (f"{BASE}COPY . /a\nFROM y\nCOPY --from=0 /a /b\nCOPY . /c\n{INSTALL}", (5, 6)),
}
FINE = {
    "requirements first": f"{BASE}COPY requirements.txt .\n{INSTALL}COPY . .\n",
    "nothing is installed": f"{BASE}COPY . .\nRUN chown -R jovyan .\n",
    "the repository itself is installed": f"{BASE}COPY . .\nRUN pip install .\n",
    "the repository itself with extras": f"{BASE}COPY . .\nRUN pip install -e .[all] && rm -r x\n",
    "from another stage": f"FROM a AS b\nFROM c\nCOPY --from=b . /srv\n{INSTALL}",
    "copied in another stage": f"FROM a\nCOPY . .\nFROM b\n{INSTALL}",
    "a folder": f"{BASE}COPY src /srv\n{INSTALL}",
    "nothing": "",
    "no text": "\x00\ufffd",
}


@pytest.mark.parametrize("case", ADVISED)
def test_the_line_that_copies_everything_before_something_is_installed_is_named(case: str) -> None:
    dockerfile, (copied, installing) = ADVISED[case]
    sentence = advice_on({"README.md": b"", "binder/Dockerfile": dockerfile.encode()})
    assert f"Move line {copied} behind line {installing}, and " in sentence


def test_the_file_that_is_needed_before_is_named() -> None:
    assert advice_on({"Dockerfile": f"{BASE}COPY . .\n{INSTALL}".encode()}) == (
        "Advice: line 2 of the Dockerfile (COPY . .) copies the whole repository before line 3 (RUN pip install --no-cache-dir -r requirements.txt), "
        "so that every commit installs anew. Move line 2 behind line 3, and copy only requirements.txt before it."
    )


@pytest.mark.parametrize("case", FINE)
def test_nothing_is_said_of_a_dockerfile_in_a_good_order(case: str) -> None:
    assert advice_on({"Dockerfile": FINE[case].encode()}) == ""


def test_where_there_is_no_dockerfile_nothing_is_said() -> None:
    assert advice_on({"requirements.txt": b"COPY . .\nRUN pip install x\n"}) == ""
