"""Names with accents, spaces and other scripts are as they were committed."""

from pathlib import Path

assert Path("Résumé & données.txt").read_text(encoding="utf-8") == "été"
assert Path("a folder/with spaces.txt").exists()
assert Path("файл 文件.txt").exists()
