"""Members and invites.

Promises: members never exceed the plan's seats, however many accept at once; an open invite
holds a seat against further invites; an invite's token works once, for 24 hours, and the
database has only its hash.
"""
