"""Check the articles of a content folder, for an editor's terminal or a pull request.

Exits with 0 when there is nothing to correct, 1 on errors (on warnings too with ``--strict``), 2 when it cannot check.
"""

from __future__ import annotations

import argparse
import dataclasses
import datetime as dt
import hashlib
import json
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from kb import paths
from kb.checks import Finding, check_library
from kb.errors import KbError
from kb.library import Library

DEFAULT_KB = Path(__file__).resolve().parent.parent / "kb"


def main(arguments: Sequence[str] | None = None) -> int:
    """Check a folder and print what was found.

    Returns:
        The exit code.
    """
    options = _parser().parse_args(arguments)
    root: Path = options.kb
    if not (root / paths.ARTICLES).is_dir():
        print(f"« {root} » n'est pas un dossier de contenu : il doit exister et contenir « {paths.ARTICLES}/ ».", file=sys.stderr)
        return 2
    try:
        library = Library.load(root)
    except KbError as error:
        print(error, file=sys.stderr)
        return 2
    today = dt.datetime.now().astimezone().date()
    findings = [dataclasses.replace(finding, path=_shown_path(root / finding.path)) for finding in check_library(library, today)]
    errors = sum(finding.severity == "error" for finding in findings)
    warnings = len(findings) - errors
    if options.format == "json":
        report = {
            "articles": len(library.articles),
            "errors": errors,
            "warnings": warnings,
            "findings": [dataclasses.asdict(finding) for finding in findings],
        }
        print(json.dumps(report, ensure_ascii=False, indent=2))
    elif options.format == "gitlab":
        print(json.dumps(_code_quality(findings), ensure_ascii=False, indent=2))
    else:
        for finding in findings:
            print(_github_line(finding) if options.format == "github" else _text_line(finding))
        print(f"{len(library.articles)} article(s), {errors} erreur(s), {warnings} avertissement(s).")
    return 1 if errors or (options.strict and warnings) else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m scripts.check_articles", description="Vérifie les articles d'un dossier de contenu.")
    parser.add_argument("--kb", type=Path, default=DEFAULT_KB, metavar="DIR", help="dossier de contenu (par défaut : kb/ du projet)")
    parser.add_argument("--format", choices=("text", "github", "gitlab", "json"), default="text", help="forme du rapport")
    parser.add_argument("--strict", action="store_true", help="échoue aussi sur les avertissements")
    return parser


def _shown_path(path: Path) -> str:
    """Path of a file as the terminal and the pull request know it: from the current folder, when it is under it."""
    absolute, here = path.resolve(), Path.cwd().resolve()
    return (absolute.relative_to(here) if absolute.is_relative_to(here) else absolute).as_posix()


def _text_line(finding: Finding) -> str:
    message = " ".join(finding.message.splitlines())
    return f"{finding.path}:{finding.line}: {finding.severity}: {message} [{finding.code}]"


def _github_line(finding: Finding) -> str:
    """Write a workflow command, which GitHub shows beside the line of the pull request.

    Source: https://docs.github.com/actions/reference/workflow-commands-for-github-actions, escapes as in ``@actions/core``.
    """
    place = f"file={_escaped_property(finding.path)},line={finding.line},title={_escaped_property(finding.code)}"
    return f"::{finding.severity} {place}::{_escaped_data(finding.message)}"


def _code_quality(findings: Sequence[Finding]) -> list[dict[str, object]]:
    """Write the report that GitLab shows in a merge request.

    Source: https://docs.gitlab.com/ci/testing/code_quality/#code-quality-report-format. A fingerprint leaves the line out, so that a
    finding that only moved is not shown as a new one.
    """
    report: list[dict[str, object]] = []
    seen: Counter[str] = Counter()
    for finding in findings:
        identity = "\0".join((finding.path, finding.code, finding.message))
        seen[identity] += 1
        report.append(
            {
                "description": finding.message,
                "check_name": finding.code,
                "fingerprint": hashlib.sha256(f"{identity}\0{seen[identity]}".encode()).hexdigest(),
                "severity": "major" if finding.severity == "error" else "minor",
                "location": {"path": finding.path, "lines": {"begin": finding.line}},
            }
        )
    return report


def _escaped_data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _escaped_property(text: str) -> str:
    return _escaped_data(text).replace(":", "%3A").replace(",", "%2C")


if __name__ == "__main__":
    sys.exit(main())
