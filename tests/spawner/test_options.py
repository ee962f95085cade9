"""What a person may ask for."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from binderhub_service.common.refusal import Refused
from spawner.choices import Offered
from spawner.options import RepoOptions, options_from_form, options_from_json
from spawner.template import TemplateOptions

VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "addresses.json").read_text())
REPO = "https://github.com/o/r"


@pytest.mark.parametrize("case", VECTORS["understood"], ids=lambda case: case["pasted"].strip())
def test_a_pasted_address_fills_in_what_was_left_empty(case: dict[str, Any]) -> None:
    typed = case.get("typed", {"ref": "", "path": ""})
    form = {"repo": [case["pasted"]], "ref": [typed["ref"]], "path": [typed["path"]]}
    options = options_from_form(form)
    if "names" in case:
        assert options == RepoOptions(case["pasted"], "", typed["path"]), "only the service can take it apart"
    else:
        assert options == RepoOptions(case["repo"], case["ref"], case["path"])
    assert options.is_page is ("names" in case)


@pytest.mark.parametrize("case", VECTORS["understood"], ids=lambda case: case["pasted"].strip())
def test_what_was_validated_once_stays_the_same_when_validated_again(case: dict[str, Any]) -> None:
    once = options_from_json({"repo": case["pasted"], **case.get("typed", {})})
    assert options_from_json(once.as_user_options()) == once


@pytest.mark.parametrize("pasted", VECTORS["refused_for_credentials"])
def test_a_token_in_the_address_is_refused_without_being_repeated(pasted: str) -> None:
    with pytest.raises(Refused, match="token or a password") as caught:
        options_from_json({"repo": pasted})
    assert "sekret" not in caught.value.sentence
    assert "revoke" in caught.value.hint


@pytest.mark.parametrize("field", ["ref", "path", "provider"])
def test_a_token_in_another_field_is_refused_without_being_repeated(field: str) -> None:
    with pytest.raises(Refused) as caught:
        options_from_json({"repo": REPO, field: "ghp_sekretvalue0123456789abcdef"})
    assert "sekret" not in caught.value.sentence


def test_what_a_template_asks_for_goes_with_an_image() -> None:
    given = {"template_command": "start.sh 'a b'", "template_memory": "1073741824", "template_cpu_shares": "512"}
    options = options_from_json({"repo": "docker://debian:12", **given})
    assert options.template == TemplateOptions("start.sh 'a b'", 2**30, 512)
    assert options.template.words == ["start.sh", "a b"]
    assert options_from_json(options.as_user_options()) == options
    with pytest.raises(Refused, match="from an image"):
        options_from_json({"repo": REPO, **given})


@pytest.mark.parametrize(
    "given",
    [
        {"template_command": "say '"},
        {"template_command": "x" * 5000},
        {"template_memory": "-1"},
        {"template_memory": "1e9"},
        {"template_memory": 5},
        {"template_cpu_shares": "9" * 30},
    ],
    ids=str,
)
def test_what_no_template_asks_for_is_refused(given: dict[str, Any]) -> None:
    with pytest.raises(Refused, match="template"):
        options_from_json({"repo": "docker://debian:12", **given})


@pytest.mark.parametrize(("operators", "templates", "limit"), [(None, 0, 0), (5, 0, 5), (None, 7, 7), (5, 7, 5), (7, 5, 5), (0, 7, 7)])
def test_of_the_operators_and_a_templates_memory_the_lesser_counts(operators: int | None, templates: int, limit: int) -> None:
    assert TemplateOptions(memory_bytes=templates).memory_limit(operators) == limit


def test_a_template_takes_no_more_of_the_processors_than_others_have() -> None:
    assert [TemplateOptions(cpu_shares=shares).shares for shares in (0, 2, 1024, 9999)] == [0, 2, 1024, 1024]


def test_what_binderhub_tells_of_a_launch_is_kept_as_it_is() -> None:
    told = {"binder_request": "v2/git/https%3A%2F%2Fgit/{foo}%s", "binder_client_ip": "::1"}
    options = options_from_json({"repo": REPO, **told})
    assert options.told == told
    assert options_from_json(options.as_user_options()) == options


@pytest.mark.parametrize("value", ["a\nb", "x" * 2049, 5, "https://u:ghp_sekretvalue0123456789abcdef@host/"])
def test_what_binderhub_never_tells_is_refused(value: object) -> None:
    with pytest.raises(Refused) as caught:
        options_from_json({"repo": REPO, "binder_launch_host": value})
    assert "sekret" not in caught.value.sentence


@pytest.mark.parametrize("pasted", VECTORS["refused"])
def test_what_names_no_repository_is_refused(pasted: str) -> None:
    with pytest.raises(Refused):
        options_from_json({"repo": pasted})


@pytest.mark.parametrize("given", [None, {}, {"repo": ""}, {"repo": None}, {"ref": "main"}])
def test_without_a_repository_the_answer_is_to_name_one(given: dict[str, Any] | None) -> None:
    with pytest.raises(Refused, match="Name a repository") as caught:
        options_from_json(given)
    assert "https://github.com/owner/name" in caught.value.hint


@pytest.mark.parametrize("ref", ["-x", "a b", "a\tb", "a~1", "a^", "a:b", "a?", "a*", "a[", "a\\b", "a..b", "a@{1}", "x" * 256])
def test_a_ref_that_git_could_not_have_is_refused(ref: str) -> None:
    with pytest.raises(Refused):
        options_from_json({"repo": REPO, "ref": ref})


@pytest.mark.parametrize("ref", ["main", "feature/x", "v1.0", "refs/pull/1/head", "{foo}", "{0.__class__}", "%s", "é", "a" * 255])
def test_an_odd_but_legal_ref_is_taken_as_it_is(ref: str) -> None:
    assert options_from_json({"repo": REPO, "ref": ref}).ref == ref


@pytest.mark.parametrize(
    "path",
    [
        *["../x", "a/../b", "/lab/../../hub", "a/%2e%2e/b", "a\nb", "x" * 1025],
        *["http://evil.example/x", "//evil.example", "javascript:x", "/\\evil.example", "/%2f/evil.example"],
    ],
)
def test_a_path_out_of_the_repository_is_refused(path: str) -> None:
    with pytest.raises(Refused):
        options_from_json({"repo": REPO, "path": path})


@pytest.mark.parametrize(
    ("path", "landing_url"),
    [
        ("", ""),
        ("a/b.ipynb", "/lab/tree/a/b.ipynb"),
        ("./a/", "/lab/tree/a"),
        ("a b#c?.ipynb", "/lab/tree/a%20b%23c%3F.ipynb"),
        ("{0.__class__}.ipynb", "/lab/tree/%7B0.__class__%7D.ipynb"),
        ("a..b.ipynb", "/lab/tree/a..b.ipynb"),
        ("/lab", "/lab"),
        ("/voila/render/x y.ipynb?a=1", "/voila/render/x%20y.ipynb?a=1"),
    ],
)
def test_a_path_says_what_the_server_opens(path: str, landing_url: str) -> None:
    assert options_from_json({"repo": REPO, "path": path}).landing_url == landing_url


@pytest.mark.parametrize("name", ["image", "Image", "profile", "environment", "<script>"])
def test_an_option_that_does_not_exist_is_refused_by_name(name: str) -> None:
    with pytest.raises(Refused, match="image" if name == "image" else f"no such option: {name}"):
        options_from_json({"repo": REPO, name: "x"})
    with pytest.raises(Refused):
        options_from_form({"repo": [REPO], name: ["x"]})


@pytest.mark.parametrize("value", [1, True, ["main"], {"a": "b"}, b"main"])
def test_an_option_that_is_not_a_text_is_refused(value: object) -> None:
    with pytest.raises(Refused, match="ref has to be a text"):
        options_from_json({"repo": REPO, "ref": value})


def test_an_uploaded_file_is_refused() -> None:
    with pytest.raises(Refused, match="repo_file"):
        options_from_form({"repo": [REPO], "repo_file": [object()]})


def test_the_hubs_own_fields_in_a_form_do_no_harm() -> None:
    assert options_from_form({"repo": ["o/r"], "_xsrf": ["2|x"]}) == RepoOptions(REPO)


def test_with_a_provider_a_shorthand_is_left_to_it() -> None:
    assert options_from_json({"repo": "o/r", "provider": "gl"}) == RepoOptions("o/r", provider="gl")
    assert options_from_json({"repo": "10.5281/zenodo.3242074", "provider": "zenodo"}).repo == "10.5281/zenodo.3242074"


@pytest.mark.parametrize("provider", ["GH", "g h", "../x", "x" * 40])
def test_a_provider_that_cannot_exist_is_refused(provider: str) -> None:
    with pytest.raises(Refused, match="provider"):
        options_from_json({"repo": "o/r", "provider": provider})


def test_an_overlong_address_is_refused() -> None:
    with pytest.raises(Refused, match="2048"):
        options_from_json({"repo": REPO + "x" * 2048})


def test_the_hub_stores_a_provider_only_where_there_is_one() -> None:
    assert options_from_json({"repo": "o/r"}).as_user_options() == {"repo": REPO, "ref": "", "path": ""}
    assert options_from_json({"repo": "o/r", "provider": "gh"}).as_user_options() == {"repo": "o/r", "ref": "", "path": "", "provider": "gh"}


# --- choices ---------------------------------------------------------------------------------------------------------

CHOICES = Offered({"memory": ["1G", "2G"], "cpu": ["1"]})


def test_the_first_of_what_is_offered_is_meant_where_nothing_is_chosen() -> None:
    assert options_from_json({"repo": "o/r", "memory": ""}, CHOICES).chosen == {"memory": "1G", "cpu": "1"}


def test_what_was_chosen_is_stored_and_read_again() -> None:
    options = options_from_json({"repo": "o/r", "memory": "2G"}, CHOICES)
    assert options.as_user_options() == {"repo": "https://github.com/o/r", "ref": "", "path": "", "memory": "2G", "cpu": "1"}
    assert options_from_json(options.as_user_options(), CHOICES) == options


@pytest.mark.parametrize("more", [{"memory": "3G"}, {"memory": 1}, {"memory": ["1G"]}, {"memory": {}}, {"disk": "1G"}, {"image": "evil"}])
def test_nothing_but_what_is_offered_can_be_chosen(more: dict[str, Any]) -> None:
    with pytest.raises(Refused):
        options_from_json({"repo": "o/r", **more}, CHOICES)


def test_without_choices_there_is_nothing_to_choose() -> None:
    with pytest.raises(Refused, match="no such option: memory"):
        options_from_json({"repo": "o/r", "memory": "1G"})
