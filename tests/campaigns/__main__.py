"""`python -m tests.campaigns [NAME …]`: play campaigns; each ends in one line, `N tried, M clean`."""

from __future__ import annotations

import argparse
import sys
import time

from tests.campaigns import CAMPAIGNS, tries_of
from tests.campaigns.playing import play

SECONDS = 600
"""What a campaign may take; what has not been tried then is said."""


def main() -> int:
    """Play as the command line says."""
    parser = argparse.ArgumentParser(prog="python -m tests.campaigns")
    parser.add_argument("names", nargs="*", choices=[*CAMPAIGNS, []], default=[])
    parser.add_argument("--seconds", type=float, default=SECONDS)
    parser.add_argument("--only", default="", help="tries with this in their names")
    asked = parser.parse_args()
    faults = sum(campaign(name, asked.seconds, asked.only) for name in asked.names or CAMPAIGNS)
    return 1 if faults else 0


def campaign(name: str, seconds: float, only: str = "") -> int:
    """Play one campaign.

    Returns:
        How many tries had complaints.
    """
    began, tried, clean, left = time.monotonic(), 0, 0, 0
    for each in tries_of(name):
        if only not in each.name:
            continue
        if time.monotonic() - began > seconds:
            left += 1
            continue
        complaints = play(each)
        tried, clean = tried + 1, clean + (not complaints)
        for complaint in complaints:
            print(f"{name}: {each.name}: {complaint}", flush=True)
    print(
        f"{name}: {tried} tried, {clean} clean" + (f" ({left} left out, for time)" if left else ""),
        flush=True,
    )
    return tried - clean


if __name__ == "__main__":
    sys.exit(main())
