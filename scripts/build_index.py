"""Build or refresh the search index of the content, with a progress bar."""

from __future__ import annotations

import argparse
import sys
import time
from types import TracebackType

from tqdm import tqdm

from kb import git_store
from kb.errors import KbError
from search.errors import SearchError
from search.live import LiveEngine
from webapp.settings import SAMPLE_KB, SettingsError, load_settings

STAGES = {"mots": "Index des mots", "sens": "Index du sens"}


class ProgressBars:
    """Shows the progress of an index build: one bar a stage, on standard error."""

    def __init__(self) -> None:
        self._bars: dict[str, tqdm[None]] = {}

    def __enter__(self) -> ProgressBars:
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        for bar in self._bars.values():
            bar.close()

    def __call__(self, stage: str, done: int, total: int) -> None:
        """Report that ``done`` of ``total`` steps of a stage are behind."""
        if stage not in self._bars:
            self._bars[stage] = tqdm(total=total, desc=STAGES.get(stage, stage), unit="", dynamic_ncols=True)
        bar = self._bars[stage]
        bar.update(done - bar.n)


def main(arguments: list[str] | None = None) -> int:
    """Build the index; returns an exit status."""
    argparse.ArgumentParser(description=__doc__).parse_args(arguments)
    try:
        settings = load_settings()
        if settings.kb_dir is None and git_store.ensure_repository(settings.content_dir, SAMPLE_KB):
            print(f"Contenu d'exemple copié dans {settings.content_dir}", file=sys.stderr)
        started = time.perf_counter()
        with ProgressBars() as progress:
            live = LiveEngine(settings.content_dir, settings.index_dir, settings.load_embedder, progress)
    except (SettingsError, KbError, SearchError) as error:
        print(error, file=sys.stderr)
        return 2
    engine = live.engine
    for problem in engine.library.problems:
        print(f"laissé de côté : {problem}", file=sys.stderr)
    if engine.degraded:
        print(engine.degraded, file=sys.stderr)
    print(f"{len(engine.library.articles)} articles prêts en {time.perf_counter() - started:.1f} s ({engine.mode})", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
