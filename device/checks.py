"""What one check of the doctor found."""

from dataclasses import dataclass
from typing import Literal

Status = Literal["ok", "warn", "fail"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One finding: `what` was found, and how to `mend` it (empty where nothing needs to be)."""

    name: str
    status: Status
    what: str
    mend: str = ""
