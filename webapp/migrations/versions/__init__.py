"""One file per step, named in order: ``0001_accounts.py``, ``0002_…``."""
