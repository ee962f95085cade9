"""Requirements files as pip takes them become files as uv takes them, and what is left out is said."""

from __future__ import annotations

import codecs

import pytest

from binderhub_service.worker.requirements_text import decoded, for_uv, lines

ENCODED = {
    "UTF-8": "six é\n".encode(),
    "UTF-8 with a mark": codecs.BOM_UTF8 + "six é\n".encode(),
    "UTF-16 of Windows": codecs.BOM_UTF16_LE + "six é\n".encode("utf-16-le"),
    "UTF-16 in network order": codecs.BOM_UTF16_BE + "six é\n".encode("utf-16-be"),
    "UTF-32": codecs.BOM_UTF32_LE + "six é\n".encode("utf-32-le"),
}


@pytest.mark.parametrize("case", ENCODED)
def test_a_file_is_read_in_the_encoding_that_its_mark_names(case: str) -> None:
    assert decoded(ENCODED[case]) == "six é\n"


def test_a_comment_may_name_the_encoding() -> None:
    assert decoded("# -*- coding: latin-1 -*-\nsix  # é\n".encode("latin-1")).endswith("# é\n")
    assert decoded(b"# coding: nothing-known\nsix\n").endswith("six\n")


def test_text_in_no_encoding_that_it_names_is_refused() -> None:
    with pytest.raises(UnicodeDecodeError):
        decoded(b"\xc3\x28")


def test_lines_are_joined_and_comments_left_out() -> None:
    assert list(lines("six \\\n  ==1.16.0 # why\n\n# nothing\nhttps://h/a#egg=b\n")) == ["six   ==1.16.0", "https://h/a#egg=b"]


# As pip 26 joins lines: what is installed of each was compared.
JOINED = {
    "six \\\n  >=1.10\nidna\\\n==3.7\n": ["six   >=1.10", "idna==3.7"],
    "six \\\r\n  >=1.10\r\n": ["six   >=1.10"],
    "six # why \\\nidna\n": ["six"],
    "# why \\\nsix\n": ["six"],
    "six \\\n# why\nidna\n": ["six", "idna"],
    "six\\": ["six"],
    "six \\\n\nidna\n": ["six", "idna"],
}


@pytest.mark.parametrize("text", JOINED)
def test_a_line_that_a_backslash_continues_reaches_uv_as_one(text: str) -> None:
    assert for_uv("requirements.txt", text).text.splitlines() == JOINED[text]


AS_THEY_ARE = [
    "six==1.16.0\n",
    "# a comment\nsix  # why\n",
    "-r other.txt\n-c constraints.txt\n-e .\n-e ./package[extra]\n",
    "--index-url https://h/simple\n--extra-index-url https://i/simple\n--pre\n--no-binary :all:\n",
    "six==1.16.0 --hash=sha256:00 \\\n    --hash=sha256:11\n",
    "demo @ git+https://h/demo.git@main\n",
]


@pytest.mark.parametrize("text", AS_THEY_ARE)
def test_what_uv_reads_as_pip_does_says_the_same(text: str) -> None:
    translation = for_uv("requirements.txt", text)
    assert [line.split() for line in lines(translation.text)] == [line.split() for line in lines(text)]
    assert translation.notes == ()


CHANGED = {
    "-e git+https://h/demo.git#egg=demo\n": "demo @ git+https://h/demo.git\n",
    "-e git+https://h/demo.git@v1#egg=demo&subdirectory=python\n": "demo @ git+https://h/demo.git@v1#subdirectory=python\n",
    "-e git+https://h/demo.git@v1#subdirectory=python&egg=demo\n": "demo @ git+https://h/demo.git@v1#subdirectory=python\n",
    "--editable=git+https://h/demo.git#egg=demo[extra]\n": "demo[extra] @ git+https://h/demo.git\n",
    "-e git+https://h/demo.git\n": "git+https://h/demo.git\n",
    "--extra-index-url https://h/simple --trusted-host h\nsix\n": "--extra-index-url https://h/simple\n--trusted-host h\nsix\n",
    "-rother.txt\n": "-r other.txt\n",
}


@pytest.mark.parametrize("text", CHANGED)
def test_what_only_pip_takes_is_written_as_uv_takes_it(text: str) -> None:
    assert for_uv("requirements.txt", text).text == CHANGED[text]


DROPPED = {
    "--process-dependency-links\nsix\n": "--process-dependency-links",
    "--no-deps\nsix\n": "--no-deps",
    "-U\nsix\n": "-U",
    'six --global-option="--no-user-cfg"\n': "--global-option",
    "--config-settings=a=b\nsix\n": "--config-settings",
}


@pytest.mark.parametrize("text", DROPPED)
def test_an_option_without_a_meaning_is_left_out_with_a_word(text: str) -> None:
    translation = for_uv("binder/requirements.txt", text)
    assert translation.text == "six\n"
    assert translation.notes == (f"The option {DROPPED[text]} in binder/requirements.txt means nothing here and is left out.",)


def test_hashes_are_checked_and_not_required_of_a_servers_own_packages() -> None:
    translation = for_uv("requirements.txt", "--require-hashes\nsix==1.16.0 --hash=sha256:00\n")
    assert translation.text == "six==1.16.0 --hash=sha256:00\n"
    assert translation.notes == (
        "The option --require-hashes in requirements.txt is left out: a server's own packages have no hashes. Those that are there are checked.",
    )
