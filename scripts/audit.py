"""What `scripts/audit` runs: see there."""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterable
from email.message import Message
from importlib.metadata import distributions
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "licences.md"
OURS = "sparse-suite"
WEAK = "MPL-2.0"  # binds changes of its own files alone
PERMISSIVE = {
    *("0BSD", "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "BSL-1.0", "CC0-1.0", "ISC", "MIT", "MIT-CMU"),
    *("PSF-2.0", "Python-2.0", "Unlicense", "Zlib", WEAK),
}
# What packages say of themselves in other words, in SPDX's.
SPDX = {
    "Apache Software License": "Apache-2.0", "Apache License 2.0": "Apache-2.0", "Apache 2.0": "Apache-2.0",
    "Apache": "Apache-2.0", "MIT License": "MIT", "BSD License": "BSD-3-Clause", "BSD": "BSD-3-Clause",
    "3-Clause BSD License": "BSD-3-Clause", "ISC License (ISCL)": "ISC", "PSFL": "PSF-2.0",
    "Python Software Foundation License": "PSF-2.0", "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
}  # fmt: skip


def licence_of(metadata: Message) -> str:
    """The licence that a package's metadata states: as an expression, by its classifiers, or as a text."""
    stated = str(metadata.get("License-Expression") or "")
    classifiers = [str(one).split("::") for one in metadata.get_all("Classifier") or []]
    named = [parts[-1].strip() for parts in classifiers if parts[0].strip() == "License" and len(parts) > 2]
    lines = str(metadata.get("License") or "").strip().splitlines()
    found = [stated] if stated else named or lines[:1]
    return " AND ".join(SPDX.get(one, one) for one in found)


def is_permissive(licence: str) -> bool:
    """Whether all that a licence expression of SPDX binds to is permissive, or one that it lets choose from.

    Exceptions (WITH) only allow more. What mixes AND and OR is for a person to read, and other words than
    SPDX's are none that are known here.
    """
    parts = [one.split(" WITH ")[0].strip(" ()") for one in re.split(" AND | OR ", licence)]
    if " OR " in licence:
        return " AND " not in licence and any(one in PERMISSIVE for one in parts)
    return all(one in PERMISSIVE for one in parts)


def table(rows: Iterable[tuple[str, str]]) -> str:
    """The page of licences."""
    lines = [
        "# Licences",
        "",
        "Of everything that `scripts/install` installs, from the metadata of the packages; made by",
        "`scripts/audit --write`. MPL-2.0 binds changes of its own files, and nothing that uses them. Wheels",
        "bring libraries with licences of their own, such as OpenCV's FFmpeg (LGPL-2.1), and list them.",
        "",
        "| package | licence |",
        "|---|---|",
        *(f"| {name} | {licence} |" for name, licence in rows),
    ]
    return "\n".join(lines) + "\n"


def check_licences(write: bool) -> int:
    found = {one.name: licence_of(one.metadata) for one in distributions() if one.name != OURS}
    rows = sorted(found.items(), key=lambda pair: pair[0].lower())
    bad = [f"{name}: {licence}" for name, licence in rows if licence and not is_permissive(licence)]
    unknown = [name for name, licence in rows if not licence]
    weak = [name for name, licence in rows if WEAK in licence]
    print(f"Licences of {len(rows)} packages: {len(bad)} not permissive, {len(unknown)} that state none.")
    for what, names in (("Not permissive", bad), ("No licence stated", unknown), ("MPL-2.0", weak)):
        if names:
            print(f"  {what}: {', '.join(names)}")
    if write:
        PAGE.write_text(table(rows), encoding="utf-8")
        print(f"  Written: {PAGE.relative_to(ROOT)}")
    return 1 if bad or unknown else 0


def vulnerabilities(report: dict[str, Any]) -> tuple[list[str], list[str]]:
    """What pip-audit found, one text each, and what it could not ask about, which it counts as fine."""
    known, skipped = [], []
    for one in report.get("dependencies", []):
        if "skip_reason" in one:
            skipped.append(str(one["name"]))
        for vulnerability in one.get("vulns", []):
            fixed = ", ".join(vulnerability.get("fix_versions", [])) or "no version"
            known.append(f"{one['name']} {one['version']}: {vulnerability['id']}, mended in {fixed}")
    return known, skipped


def check_vulnerabilities(tool: Path) -> int:
    if not (tool / "pip_audit").is_dir():
        print("Vulnerabilities: not looked up, as pip-audit is not installed.")
        return 2
    with TemporaryDirectory() as folder:
        out = Path(folder) / "report.json"
        command = [sys.executable, "-m", "pip_audit", "-r", str(ROOT / "constraints.txt"), "--no-deps"]
        command += ["--disable-pip", "--progress-spinner", "off", "--format", "json", "--output", str(out)]
        environment = {**os.environ, "PYTHONPATH": str(tool.resolve())}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        report = json.loads(out.read_text()) if out.is_file() else {}
    known, skipped = vulnerabilities(report)
    asked = len(report.get("dependencies", [])) - len(skipped)
    print(f"Vulnerabilities: {len(known)} known in {asked} locked packages.")
    for one in known:
        print(f"  {one}")
    if skipped or not report:
        what = f"for {len(skipped)} packages" if report else f"({done.stderr.strip()[-300:]})"
        print(f"  The database could not be asked {what}: run it where it can be reached.")
    return 1 if known else 2 if skipped or not report else 0


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/audit")
    parser.add_argument("--tool", type=Path, required=True, help=argparse.SUPPRESS)
    parser.add_argument("--licences", action="store_true", help="the licences alone, which needs no network")
    parser.add_argument("--write", action="store_true", help="also write docs/licences.md")
    given = parser.parse_args()
    ends = [check_licences(given.write)]
    if not given.licences:
        ends.append(check_vulnerabilities(given.tool))
    return 1 if 1 in ends else max(ends)


if __name__ == "__main__":
    sys.exit(main())
