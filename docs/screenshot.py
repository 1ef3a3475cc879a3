"""A picture of a page in Chromium, for the README: `python docs/screenshot.py runs/.../report/report.html docs/img/report.png`.

The page is taken at twice the pixels, from its top down to `--height`, light or `--dark`. Needs Chromium (Debian: package chromium).
"""

import argparse
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--hide-scrollbars", "--force-device-scale-factor=2",
)  # fmt: skip


def main() -> int:
    """Take it; 1 when there is no Chromium."""
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("page", type=Path)
    words.add_argument("picture", type=Path)
    words.add_argument("--width", type=int, default=1200)
    words.add_argument("--height", type=int, default=1000)
    words.add_argument("--dark", action="store_true")
    given = words.parse_args()
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        print("Chromium is not installed", file=sys.stderr)
        return 1
    given.picture.parent.mkdir(parents=True, exist_ok=True)
    scheme = ("--blink-settings=preferredColorScheme=0",) if given.dark else ("--blink-settings=preferredColorScheme=1",)
    with tempfile.TemporaryDirectory() as profile:
        place = (f"--user-data-dir={profile}", f"--window-size={given.width},{given.height}", f"--screenshot={given.picture.resolve()}")
        subprocess.run([chromium, *FLAGS, *scheme, *place, given.page.resolve().as_uri()], check=True, capture_output=True, timeout=120)
    print(given.picture)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
