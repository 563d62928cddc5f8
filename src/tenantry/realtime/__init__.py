"""Real time: the feed, as it grows, on WebSockets.

Promises: a socket receives every activity of its organisation that is committed while it is
open, once, in the order of `seq`, unless it reads too slowly and is cut off; nothing that was
rolled back. It is closed as soon as its session is ended or its user removed; when a session
expires, or its end was not heard, by the next poll, within five seconds. NOTIFY only wakes: a
lost wake-up makes an event late, at most by that poll, never lost.
Does not promise, yet: what happened while a socket was away.
"""
