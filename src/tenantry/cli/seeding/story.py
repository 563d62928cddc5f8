"""The two organisations of `tenantry serve --demo`, and what has happened in them.

Analytical Engines is on ENTERPRISE, the plan with custom roles, and has eight members, a former one
and open invites. Difference Bakery is on FREE, with one seat left. Grace is in both.
"""

from datetime import datetime, time, timedelta
from uuid import UUID

from tenantry.cli.seeding.chronicle import Chronicle, Somebody
from tenantry.tenancy.permissions import CustomRole, Permission, Role
from tenantry.tenancy.product import OURS

OWNER = OURS.permissions.grade(Role.ADMIN, owner=True)
ADMIN = OURS.permissions.grade(Role.ADMIN)
MEMBER = OURS.permissions.grade(Role.MEMBER)

ENGINES = UUID("de300000-0000-7000-8000-000000000001")
BAKERY = UUID("de300000-0000-7000-8000-000000000002")


PEOPLE = [
    Somebody(UUID(int=ENGINES.int + 0x100 * number), name, f"{name.split()[0].lower()}@example.com")
    for number, name in enumerate(
        (
            "Ada Lovelace",
            "Grace Hopper",
            "Alan Turing",
            "Katherine Johnson",
            "Edsger Dijkstra",
            "Margaret Hamilton",
            "Radia Perlman",
            "Barbara Liskov",
            "Charles Babbage",
            "Joan Clarke",
        ),
        start=1,
    )
]
ADA, GRACE, ALAN, KATHERINE, EDSGER, MARGARET, RADIA, BARBARA, CHARLES, JOAN = PEOPLE


class Calendar:
    """Days of the past, as told on the day of `now`."""

    def __init__(self, now: datetime) -> None:
        self.now = now

    def __call__(self, days_ago: int, clock: str) -> datetime:
        day = self.now.date() - timedelta(days=days_ago)
        return datetime.combine(day, time.fromisoformat(clock), self.now.tzinfo)

    def lately(self, **ago: float) -> datetime:
        return self.now - timedelta(**ago)


def told(now: datetime) -> list[Chronicle]:
    """Both, from six weeks before `now` on."""
    on = Calendar(now)
    return [_engines(on), _bakery(on)]


def _engines(on: Calendar) -> Chronicle:
    engines = Chronicle(ENGINES, "Analytical Engine", "analytical-engines")
    engines.founded(on(42, "08:58"), ADA, OWNER)
    grace = engines.invited(on(42, "09:05"), GRACE.email, ADMIN, ADA)
    alan = engines.invited(on(42, "09:07"), ALAN.email, MEMBER, ADA)
    engines.accepted(on(42, "09:31"), grace, GRACE)
    engines.accepted(on(42, "11:14"), alan, ALAN)
    engines.said(on(42, "11:20"), "Welcome, both of you. Stand-up is at 9:30, in the library.", ADA)
    engines.renamed(on(41, "10:02"), "Analytical Engines", ADA)
    engines.said(on(39, "16:45"), "The card reader works. Cake in the kitchen.", GRACE)
    engines.upgraded(on(36, "09:12"), "PRO", ADA)
    charles = engines.invited(on(36, "09:15"), CHARLES.email, MEMBER, GRACE)
    katherine = engines.invited(on(36, "09:16"), KATHERINE.email, MEMBER, GRACE)
    edsger = engines.invited(on(36, "09:18"), EDSGER.email, MEMBER, GRACE)
    engines.accepted(on(36, "09:40"), charles, CHARLES)
    engines.accepted(on(36, "10:22"), katherine, KATHERINE)
    engines.accepted(on(36, "14:51"), edsger, EDSGER)
    engines.said(on(33, "09:00"), "Quarterly figures are out; numbers by Katherine.", ADA)
    typo = engines.invited(on(31, "13:37"), "margret@example.com", MEMBER, GRACE)
    engines.revoked(on(31, "13:39"), typo, GRACE)
    margaret = engines.invited(on(31, "13:40"), MARGARET.email, MEMBER, GRACE)
    engines.accepted(on(31, "15:02"), margaret, MARGARET)
    engines.said(on(28, "08:30"), "The mill is down for maintenance until ten.", GRACE)
    engines.said(on(28, "10:04"), "The mill is up again, with twice the store.", GRACE)
    engines.promoted(on(24, "10:10"), KATHERINE, ADMIN, ADA)
    engines.removed(on(22, "17:25"), CHARLES, CHARLES)
    engines.upgraded(on(20, "09:03"), "ENTERPRISE", ADA)
    announcer = CustomRole(UUID(int=ENGINES.int + 0xF0), "Announcer", [Permission.BROADCAST_SEND])
    engines.defined(on(20, "09:10"), announcer, ADA)
    announcing = OURS.permissions.grade(Role.MEMBER, custom=announcer)
    engines.promoted(on(20, "09:12"), MARGARET, announcing, ADA)
    engines.said(
        on(19, "15:30"), "Release 2.0 goes out tomorrow at noon. No merges after ten.", MARGARET
    )
    engines.said(on(18, "12:06"), "2.0 is out. Thank you, everybody!", MARGARET)
    radia = engines.invited(on(14, "09:20"), RADIA.email, MEMBER, KATHERINE)
    barbara = engines.invited(on(14, "09:21"), BARBARA.email, MEMBER, KATHERINE)
    engines.accepted(on(14, "10:48"), barbara, BARBARA)
    engines.accepted(on(14, "13:15"), radia, RADIA)
    announcer = CustomRole(
        announcer.id, announcer.name, [Permission.BROADCAST_SEND, Permission.MEMBERS_READ]
    )
    engines.defined(on(11, "11:00"), announcer, ADA)
    engines.said(
        on(7, "09:00"), "Planning for 2.1 is on Thursday; bring what annoys you.", KATHERINE
    )
    engines.promoted(on(6, "16:20"), KATHERINE, MEMBER, ADA)
    engines.promoted(on(6, "16:21"), RADIA, ADMIN, ADA)
    engines.said(on(4, "14:12"), "The spanning tree is pruned: deploys take two minutes.", RADIA)
    engines.invited(on(3, "17:50"), "dorothy@example.com", MEMBER, GRACE)
    engines.said(on(2, "08:45"), "Fire drill at eleven. Leave the punch cards.", MARGARET)
    announcing = OURS.permissions.grade(Role.MEMBER, custom=announcer)
    engines.invited(on.lately(hours=3), "hedy@example.com", announcing, ADA)
    engines.invited(on.lately(minutes=52), "tim@example.com", MEMBER, RADIA)
    engines.said(on.lately(minutes=17), "Lunch at noon?", GRACE)
    return engines


def _bakery(on: Calendar) -> Chronicle:
    bakery = Chronicle(BAKERY, "Difference Bakery", "difference-bakery")
    bakery.founded(on(25, "06:30"), JOAN, OWNER)
    bakery.said(on(25, "06:41"), "First batch is in the oven.", JOAN)
    grace = bakery.invited(on(21, "07:15"), GRACE.email, MEMBER, JOAN)
    bakery.accepted(on(21, "19:02"), grace, GRACE)
    bakery.said(on(13, "06:20"), "Rye is back on Fridays.", JOAN)
    bakery.promoted(on(8, "07:05"), GRACE, ADMIN, JOAN)
    bakery.said(on(1, "06:25"), "Closed on Monday; the oven gets its new door.", JOAN)
    return bakery
