"""Where recordings, models and cards lie that are too large or not ours to keep in the repository.

$FAMILIAR_TEST_ASSETS, else the folder `shared/assets` beside the checkout. Tests that need them are skipped without.
"""

import os
from pathlib import Path

_BESIDE = Path(__file__).parents[2] / "shared" / "assets"

ASSETS = Path(os.environ.get("FAMILIAR_TEST_ASSETS") or _BESIDE)
WITHOUT_ASSETS = "set FAMILIAR_TEST_ASSETS to the folder of test assets"
"""Reason to skip: how to mend it."""
