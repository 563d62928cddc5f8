"""Real time: the feed, as it grows, on WebSockets and as server-sent events.

Promises: a connection receives every activity of its organisation that is committed from its
start on, once, in the order of `seq`, unless it reads too slowly and is cut off; one that comes
with `after` is first sent what it missed, or told to RESYNC. Nothing that was rolled back is sent.
It is closed as soon as its session is ended or its user removed, on every node; when a session
expires, or its end was not heard, by the next poll, within five seconds. NOTIFY and Redis only
wake: a lost wake-up makes an event late, at most by that poll, never lost.
Does not promise: that a connection ends when its access token expires; its session counts.
"""
