"""The pages' modules by Node's own test runner, and the colours of their style sheet."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
STATIC = ROOT / "binderhub_service" / "static"
OLDEST_NODE = 18
READABLE = 4.5


def test_the_modules_pass_their_own_tests(tmp_path: Path) -> None:
    node = shutil.which("node")
    if node is None:
        pytest.skip("node is not on PATH")
    version = subprocess.run([node, "--version"], check=True, capture_output=True, text=True).stdout
    if int(version.lstrip("v").split(".")[0]) < OLDEST_NODE:
        pytest.skip(f"node is {version.strip()}, the tests need {OLDEST_NODE}")
    # Node takes .js for an older kind of script, unless a package.json above says otherwise.
    (tmp_path / "package.json").write_text('{"type": "module"}')
    for folder in (STATIC, ROOT / "tests" / "static", ROOT / "tests" / "vectors"):
        shutil.copytree(folder, tmp_path / folder.relative_to(ROOT))
    files = sorted(map(str, (tmp_path / "tests" / "static").glob("*.test.js")))
    run = subprocess.run([node, "--test", "--test-reporter=tap", *files], check=False, capture_output=True, text=True, timeout=300, cwd=tmp_path)
    assert run.returncode == 0, run.stdout + run.stderr
    assert re.search(r"^# pass [1-9]", run.stdout, re.MULTILINE)


def test_no_page_takes_anything_from_elsewhere_or_writes_markup() -> None:
    files = [*STATIC.glob("*.*"), *STATIC.glob("images/*.svg"), *(ROOT / "binderhub_service" / "templates").glob("*")]
    assert len(files) > 10
    for file in files:
        text = file.read_text()
        assert not re.search(r"""(?:src|href|from|import|url\()\s*[=(]?\s*["']?(?:https?:)?//""", text), file
        assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function", text), file
        assert not re.search(r"<[^>]*\son[a-z]+=", text), f"{file} has an inline event handler"
        assert "| safe" not in text, file


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_every_colour_of_a_log_can_be_read(theme: str) -> None:
    colours = colours_of(theme)
    background = colours["log-bg"]
    texts = [name for name in colours if name.startswith("ansi-")] + ["log-fg", "neutral-fg"]
    assert len(texts) == 18
    poor = {name: contrast(colours[name], background) for name in texts if contrast(colours[name], background) < READABLE}
    assert not poor


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("state", ["neutral", "running", "ready", "failed"])
def test_every_state_can_be_read(theme: str, state: str) -> None:
    colours = colours_of(theme)
    assert contrast(colours[f"{state}-fg"], colours[f"{state}-bg"]) >= READABLE


def colours_of(theme: str) -> dict[str, str]:
    """Return the style sheet's colours by name, as six hexadecimal digits."""
    selector = {"light": ":root", "dark": '[data-bs-theme="dark"]'}[theme]
    css = (STATIC / "style.css").read_text()
    block = css[css.index(f"{selector} {{") :].partition("}")[0]
    return dict(re.findall(r"--binder-([a-z0-9-]+): #([0-9a-f]{6});", block))


def contrast(one: str, other: str) -> float:
    """Return the contrast ratio of two colours as WCAG 2 defines it."""
    lighter, darker = sorted((luminance(one), luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def luminance(colour: str) -> float:
    """Return the relative luminance of a colour as WCAG 2 defines it."""
    channels = [int(colour[at : at + 2], 16) / 255 for at in (0, 2, 4)]
    linear = [value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4 for value in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
