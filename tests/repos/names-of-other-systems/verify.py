"""Names that mean something elsewhere, or to a shell, are names."""

from pathlib import Path

for name in ("con.txt", "a:b.txt", "what?.txt", "back\\slash.txt", "dot.", "-r", "$HOME.txt"):
    assert Path("./" + name).read_text() == "x", name
