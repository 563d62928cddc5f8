"""What one builds on: this list. What is taken out of it breaks somebody's code."""

import subprocess
import sys

import pytest

import tenantry

PUBLIC = {
    "__version__",
    "create_app",
    "Feature",
    "Settings",
    # in a handler
    "Tenant",
    "TenantScope",
    "Person",
    "row_of",
    "Router",
    "allowed",
    "any_member",
    "signed_in",
    "Permission",
    "Role",
    "Event",
    "Input",
    "Email",
    "Message",
    "Name",
    # answers
    "Reply",
    "Page",
    "TenantryError",
    "BadRequest",
    "Conflict",
    "FieldError",
    "Forbidden",
    "Gone",
    "Invalid",
    "NotFound",
}


def test_is_this_list() -> None:
    assert set(tenantry.__all__) == PUBLIC


@pytest.mark.parametrize("name", sorted(PUBLIC))
def test_is_there_with_a_word_on_it(name: str) -> None:
    assert getattr(tenantry, name).__doc__


def test_says_what_there_is_not() -> None:
    with pytest.raises(AttributeError, match="tenantry has no Tennant"):
        _ = tenantry.Tennant


def test_costs_nothing_until_it_is_used() -> None:
    probe = "import tenantry, sys; print([name for name in sys.modules if name[:8] == 'litestar'])"
    run = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    assert run.stdout == "[]\n"
