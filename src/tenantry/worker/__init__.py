"""The worker: a process and a database role of its own, which does what the queue holds.

Promises: a job is taken up again until it is done, for about a day, then kept as dead; one that a
killed worker had is taken up too, so that it may, rarely, be done twice. Does not promise order.
"""
