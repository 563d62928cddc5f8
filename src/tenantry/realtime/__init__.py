"""Real time: the feed, as it grows, on WebSockets.

Promises: a socket receives every activity of its organisation that is committed while it is
open, once, in the order of `seq`; nothing that was rolled back; it is closed as soon as its
session ends or its user is removed. NOTIFY only wakes: a lost wake-up makes an event late, at
most by the slow poll, never lost. Does not promise, yet: what happened while a socket was away.
"""
