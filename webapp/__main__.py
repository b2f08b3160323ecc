"""``python -m webapp``: check the settings, build what is missing with a progress bar, then serve with gunicorn."""

from __future__ import annotations

import os
import subprocess
import sys

from search.index_store import IndexStore
from webapp.database import DatabaseUnavailable, migrate
from webapp.settings import PROJECT, SettingsError, load_settings


def main() -> int:  # noqa: RET503  # execv does not return  # noqa: RET503  # the process becomes gunicorn
    """Serve until stopped; returns an exit status when it could not start."""
    try:
        settings = load_settings()
        migrate(settings)
    except (SettingsError, DatabaseUnavailable) as error:
        print(error, file=sys.stderr)
        return 2
    meta = IndexStore(settings.index_dir, None).meta()
    if meta is None or meta.model != settings.model:
        # With a progress bar, and in a process of its own, so that what building takes in memory is given back. Where an index of this
        # model exists the workers bring it up to date themselves, which takes no time worth showing.
        built = subprocess.run([sys.executable, "-m", "scripts.build_index"], cwd=PROJECT, check=False)
        if built.returncode:
            return built.returncode
    address = f"[{settings.host}]" if ":" in settings.host else settings.host
    print(f"La Bible : http://{address}:{settings.port}/  (Ctrl+C pour arrêter)", flush=True)
    os.execv(  # noqa: S606  # gunicorn takes this process's place, and its signals
        sys.executable, [sys.executable, "-m", "gunicorn", "--config", str(PROJECT / "gunicorn.conf.py"), "webapp:create_app()"]
    )


if __name__ == "__main__":
    sys.exit(main())
