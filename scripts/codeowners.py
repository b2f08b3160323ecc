"""Write the CODEOWNERS of a content repository from its ``services.yml``: who is asked to review the articles of each service.

A service's owners are its ``owners`` (users and teams of the forge), or its e-mail where the forge knows people by it (not Forgejo
nor Gitea). Exits with 0, or 2 when the file cannot be written right; nothing is printed on the standard output then.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Sequence
from pathlib import Path

from kb import paths
from kb.facts import load_context

# @user, @organisation/team, @group/sub-group; GitLab alone has roles, as @@maintainer.
_NAME = re.compile(r"@?@?[A-Za-z0-9_][A-Za-z0-9_.-]*(?:/[A-Za-z0-9_][A-Za-z0-9_.-]*)*")
_EMAIL = re.compile(r"[A-Za-z0-9_.+-]+@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+")
_HEADER = """\
# Fait par « python -m scripts.codeowners » à partir de services.yml : modifiez ce fichier-là, puis relancez la commande.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the file.

    Returns:
        The exit code.
    """
    options = _parser().parse_args(arguments)
    root: Path = options.kb
    if not (root / paths.SERVICES).is_file():
        print(f"« {root} » n'est pas un dossier de contenu : il doit contenir « {paths.SERVICES} ».", file=sys.stderr)
        return 2
    context, problems = load_context(root)
    errors = [str(problem) for problem in problems if problem.path == paths.SERVICES]
    lines = []
    if options.default:
        owners = _owners(options.default, "--default", options.forge, errors)
        # Forgejo and Gitea ask everybody whose line fits; on the others, the last line that fits decides.
        lines.append(_line("!articles/.*" if options.forge == "forgejo" else "*", owners))
    for key, service in sorted(context.services.items()):
        if not paths.is_readable_slug(key):
            errors.append(f"{paths.SERVICES} : « {key} » ne peut pas être un dossier.")
            continue
        owners = _owners(service.owners or (service.email,), f"{paths.SERVICES} : {key}", options.forge, errors)
        if owners:
            lines.append(_line(_pattern(key, options.forge), owners))
        else:
            print(f'{paths.SERVICES} : « {key} » n\'a pas de responsable pour cette forge ; ajoutez « owners: ["@…"] ».', file=sys.stderr)
    if errors:
        print("\n".join(errors), file=sys.stderr)
        return 2
    print(_HEADER + "".join(lines), end="")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m scripts.codeowners", description="Écrit le fichier CODEOWNERS d'un dépôt de contenu.")
    parser.add_argument("--kb", type=Path, default=Path(), metavar="DIR", help="dossier de contenu (par défaut : le dossier courant)")
    parser.add_argument("--forge", choices=("github", "gitlab", "forgejo"), required=True, help="forge (forgejo vaut aussi pour Gitea)")
    parser.add_argument("--default", action="append", default=[], metavar="NOM", help="responsable de tout le reste ; peut se répéter")
    return parser


def _owners(names: Sequence[str], where: str, forge: str, errors: list[str]) -> list[str]:
    owners = []
    for name in names:
        if _EMAIL.fullmatch(name):
            if forge != "forgejo":  # where only names and teams are known
                owners.append(name)
        elif _NAME.fullmatch(name):
            owners.append(name if name.startswith("@") else f"@{name}")
        elif name:
            errors.append(f"{where} : « {name[:80]} » n'est ni un nom de la forge (@nom, @organisation/equipe) ni un courriel.")
    return owners


def _pattern(key: str, forge: str) -> str:
    if forge != "forgejo":
        return f"/{paths.ARTICLES}/{key}/"
    # A regular expression, which the forge unescapes once before it reads it: https://docs.gitea.com/usage/code-owners
    return f"{paths.ARTICLES}/{key.replace('.', chr(92) * 2 + '.')}/.*"


def _line(pattern: str, owners: Sequence[str]) -> str:
    return f"{pattern} {' '.join(owners)}\n"


if __name__ == "__main__":
    sys.exit(main())
