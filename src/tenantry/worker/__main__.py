"""The worker as a child of `tenantry serve`: ends when its standard input does."""

import os

from tenantry import logs, settings
from tenantry.worker.process import run

if __name__ == "__main__":
    logs.configure()
    run(settings.load(os.environ), child=True)
