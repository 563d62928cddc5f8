"""Accounts and sessions: register, login, refresh, logout, recovery.

Promises: passwords are stored as argon2id only, hashed off the event loop; an unknown address
and a wrong password are told apart by neither answer nor time; of the tokens the database has
only hashes; a refresh token used twice ends its session, unless it is the same answer asked for
again within ten seconds; a link in a mail works once. Only signing up says that an address has an
account. How often one may guess is the business of `tenantry.attempts`.
"""
