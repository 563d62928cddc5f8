"""Tenantry with argon2id at its lowest cost, to measure what is around it: python -m bench.lowest.

Nobody can set that; so it is put in the place of the real one, before the server starts.
"""

import time

from bench.data import PASSWORD
from tenantry import passwords
from tenantry.cli import main

LOWEST = passwords.Argon2id(passes=1, memory=8)
HASHES = 2000


def hash_cpu() -> float:
    """Microseconds of CPU of a hash at that cost."""
    start = time.process_time()
    for _ in range(HASHES):
        LOWEST.hash(PASSWORD)
    return (time.process_time() - start) / HASHES * 1e6


if __name__ == "__main__":
    passwords.ARGON2ID = LOWEST
    main()
