"""Links are followed within the repository, and a link to nothing does no harm."""

from pathlib import Path

import six

assert six.__version__ == "1.16.0"
assert Path("data/table.csv").read_text() == "1,2\n"
assert Path("nowhere").is_symlink()
assert not Path("nowhere").exists()
