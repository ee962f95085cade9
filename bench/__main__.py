"""Run benchmarks and print a table: ``python -m bench [name ...] [--quick] [--json FILE] [--strict]``."""

from __future__ import annotations

import argparse
import importlib
import json
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from unittest.mock import patch

import httpx

from bench.measure import Row, machine, table_head, table_line
from tests.harness.foreign_clients import read_once
from tests.harness.uv_cache import share_uv_cache

BENCHMARKS = ("memory", "launch", "followers", "asks", "scaling", "growth", "startup", "docker", "starts", "embedded", "pods", "peer")


def main() -> int:
    """Run what is named, else everything."""
    parser = argparse.ArgumentParser(prog="python -m bench", description="Measure speed and size beside a baseline.")
    parser.add_argument("names", nargs="*", metavar="name", help=f"one of {', '.join(BENCHMARKS)}; default: all")
    parser.add_argument("--quick", action="store_true", help="fewer rounds and smaller loads; the numbers mean less")
    parser.add_argument("--json", type=Path, help="write the results into this file, too")
    parser.add_argument("--strict", action="store_true", help="exit with status 1 if a goal is missed")
    arguments = parser.parse_args()
    unknown = set(arguments.names) - set(BENCHMARKS)
    if unknown:
        parser.error(f"there is no benchmark {', '.join(sorted(unknown))}")
    share_uv_cache()
    facts = machine()
    print(", ".join(f"{name}: {value}" for name, value in facts.items()), flush=True)
    print(table_head(), flush=True)
    rows = []
    for row in _rows(arguments.names or BENCHMARKS, quick=arguments.quick):
        rows.append(row)
        print(table_line(row), flush=True)
    if arguments.json:
        results = {"at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), "quick": arguments.quick, "machine": facts}
        arguments.json.write_text(json.dumps(results | {"rows": [row.as_dict() for row in rows]}, indent=2) + "\n")
    missed = [row.name for row in rows if not row.ok]
    if missed:
        print(f"{len(missed)} of {len(rows)} rows are over: {'; '.join(missed)}")
    return 1 if missed and arguments.strict else 0


def _rows(names: list[str] | tuple[str, ...], *, quick: bool) -> Iterator[Row]:
    # A client that asks by HTTP reads all certificates first, 50 ms of a processor: that is not what is measured.
    with patch("httpx._transports.default.create_ssl_context", read_once(httpx.create_ssl_context)):
        for name in names:
            with tempfile.TemporaryDirectory(prefix=f"bench-{name}-") as folder:
                yield from importlib.import_module(f"bench.{name}").run(Path(folder), quick=quick)


if __name__ == "__main__":
    sys.exit(main())
