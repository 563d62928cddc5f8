"""How many passwords the processors can verify: python -m bench.hashing SECONDS.

With the library and the parameters that Tenantry has, in as many threads as there are processors,
and nothing else in the process. Prints how many it was in a second.
"""

import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor

from bench.data import PASSWORD
from tenantry.passwords import ARGON2ID, verify


def verify_until(end: float) -> int:
    known, verified = ARGON2ID.hash(PASSWORD), 0
    while time.monotonic() < end:
        assert verify(PASSWORD, known)
        verified += 1
    return verified


def main() -> None:
    seconds = float(sys.argv[1])
    threads = os.cpu_count() or 1
    with ThreadPoolExecutor(threads) as pool:
        end = time.monotonic() + seconds
        print(sum(pool.map(verify_until, [end] * threads)) / seconds)


if __name__ == "__main__":
    main()
