"""Long names and deep folders are there."""

from pathlib import Path

names = {path.name for path in Path().rglob("*")}
assert "x" * 251 + ".txt" in names
assert "deep.txt" in names
