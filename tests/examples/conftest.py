"""What the tests of the examples share."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture
def db(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A SQLite file that is not there yet, named to every example."""
    file = tmp_path / "example.sqlite"
    for name in (
        "BANK_DB",
        "BRANCHES_DB",
        "CART_DB",
        "EXPENSE_DB",
        "PRINT_DB",
        "QUORUM_DB",
        "SIGNING_DB",
        "SUBSCRIPTION_DB",
        "TRIP_DB",
    ):
        monkeypatch.setenv(name, str(file))
    for name in ("BANK_DELAY", "FAN_OUT_DELAY", "PRINT_URL", "TRIP_DELAY"):
        monkeypatch.delenv(name, raising=False)
    for name in ("CALLBACK_SECRET", "CALLBACK_URL", "SIGNING_DELAY", "SIGNING_URL"):
        monkeypatch.delenv(name, raising=False)
    return file
