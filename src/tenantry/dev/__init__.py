"""/dev: pages for whoever develops on this machine, and for nobody else.

Promises: they are there in development only, and only for clients of this machine itself; for
anybody else they are not there.
"""
