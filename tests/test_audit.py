"""`scripts/audit`: licences as packages state them, and no silence about what could not be asked."""

from __future__ import annotations

import json
from email.message import Message
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

from tests.scripts import load_script

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def audit() -> ModuleType:
    return load_script("audit")


@pytest.mark.parametrize(
    ("fields", "licence"),
    [
        ([("License-Expression", "MIT AND PSF-2.0"), ("License", "other")], "MIT AND PSF-2.0"),
        ([("Classifier", "License :: OSI Approved :: BSD License"), ("License", "text")], "BSD-3-Clause"),
        ([("License", "Apache 2.0\n\nthe whole text")], "Apache-2.0"),
        ([("License", "GPLv3")], "GPLv3"),
        ([("Classifier", "Programming Language :: Python")], ""),
    ],
)
def test_a_licence_is_found(audit: ModuleType, fields: list[tuple[str, str]], licence: str) -> None:
    metadata = Message()
    for name, value in fields:
        metadata[name] = value
    assert audit.licence_of(metadata) == licence


@pytest.mark.parametrize(
    ("licence", "permissive"),
    [
        *((one, True) for one in ("MIT", "MIT AND PSF-2.0", "Apache-2.0 WITH LLVM-exception", "MPL-2.0")),
        *((one, True) for one in ("GPL-3.0-only OR MIT", "(MIT OR GPL-2.0-only)")),
        *((one, False) for one in ("GPLv3", "GNU General Public License v3", "CC-BY-NC-4.0", "Elastic-2.0")),
        ("GPL-3.0-only AND (MIT OR BSD-3-Clause)", False),
        *((one, False) for one in ("GNU Affero General Public License", "UNKNOWN", "MIT AND GPL-3.0-only")),
    ],
)
def test_only_known_licences_are_permissive(audit: ModuleType, licence: str, permissive: bool) -> None:
    assert audit.is_permissive(licence) == permissive


@pytest.mark.parametrize(
    ("licences", "code", "said"),
    [
        ({"a": "MIT", "b": "MPL-2.0"}, 0, "0 not permissive, 0 that state none"),
        ({"a": "MIT", "b": "Elastic-2.0"}, 1, "Not permissive: b: Elastic-2.0"),
        ({"a": "MIT", "b": "UNKNOWN"}, 1, "Not permissive: b: UNKNOWN"),
        ({"a": "MIT", "b": ""}, 1, "No licence stated: b"),
    ],
)
def test_one_package_that_is_not_permissive_is_enough(
    audit: ModuleType,
    licences: dict[str, str],
    code: int,
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    found = [SimpleNamespace(name=name, metadata=Message()) for name in licences]
    for one in found:
        one.metadata["License"] = licences[one.name]
    monkeypatch.setattr(audit, "distributions", lambda: found)
    assert audit.check_licences(write=False) == code
    assert said in capsys.readouterr().out


def test_what_could_not_be_asked_is_no_good_news(audit: ModuleType) -> None:
    report = {
        "dependencies": [
            {"name": "a", "version": "1", "vulns": [{"id": "X-1", "fix_versions": ["2"]}]},
            {"name": "b", "version": "1", "vulns": []},
            {"name": "c", "skip_reason": "not found"},
        ]
    }
    assert audit.vulnerabilities(report) == (["a 1: X-1, mended in 2"], ["c"])


@pytest.mark.parametrize(
    ("report", "code"),
    [
        ({"dependencies": [{"name": "a", "version": "1", "vulns": []}]}, 0),
        ({"dependencies": [{"name": "a", "version": "1", "vulns": [{"id": "X"}]}]}, 1),
        ({"dependencies": [{"name": "a", "skip_reason": "not found"}]}, 2),
        (None, 2),
    ],
)
def test_how_it_ends(
    audit: ModuleType, report: object, code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "pip_audit").mkdir()
    written = "" if report is None else f"open(sys.argv[-1], 'w').write({json.dumps(report)!r})"
    (tmp_path / "pip_audit" / "__main__.py").write_text(f"import sys\n{written}\n")
    assert audit.check_vulnerabilities(tmp_path) == code
    assert audit.check_vulnerabilities(tmp_path / "nothing") == 2


def test_the_page_of_licences_names_every_locked_package(audit: ModuleType) -> None:
    page = audit.PAGE.read_text().lower()
    locked = [
        line.split("==")[0] for line in (ROOT / "constraints.txt").read_text().splitlines() if "==" in line
    ]
    assert [name for name in locked if f"| {name.lower()} |" not in page] == []
