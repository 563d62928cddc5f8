"""For tests of an app built on Tenantry: real servers, clients, and the attack on isolation.

In the outermost conftest.py:

    pytest_plugins = ["tenantry.testing"]

The fixtures are in `tenantry.testing.plugin` and documented in docs/testing.md. What stands here
needs no pytest. (PYTEST_DONT_REWRITE: its assertions say everything themselves, and a conftest
imports from here before pytest does.)
"""

from tenantry.testing.answers import (
    PASSWORD,
    PATIENCE,
    eventually,
    ok,
    refused,
    registration,
    unique_email,
)
from tenantry.testing.attack import IsolationError, assert_isolated
from tenantry.testing.attack.populated import Populate
from tenantry.testing.client import Account, Api, handshake_refused
from tenantry.testing.organisations import Organisation
from tenantry.testing.servers import Installation, Serve, make_settings, serving
from tenantry.testing.sockets import Socket, Source, connect_socket

__all__ = [
    "PASSWORD",
    "PATIENCE",
    "Account",
    "Api",
    "Installation",
    "IsolationError",
    "Organisation",
    "Populate",
    "Serve",
    "Socket",
    "Source",
    "assert_isolated",
    "connect_socket",
    "eventually",
    "handshake_refused",
    "make_settings",
    "ok",
    "refused",
    "registration",
    "serving",
    "unique_email",
]

pytest_plugins = ["tenantry.testing.plugin"]
