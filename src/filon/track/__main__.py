"""`python -m filon.track RUN_FOLDER`: the process that `start` leaves behind."""

import sys

from filon.track.following import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
