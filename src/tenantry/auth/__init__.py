"""Accounts and sessions: register, login, refresh, logout; recovery; second factors and passkeys.

Promises: passwords are stored as argon2id only, hashed off the event loop; an unknown address
and a wrong password are told apart by neither answer nor time; of the tokens the database has
only hashes; a refresh token used twice ends its session, unless it is the same answer asked for
again within ten seconds; a link in a mail works once; a second factor works once, and nobody signs
in to an account that has one without it. Only signing up, and who holds an invite, learns that an
address has an account. How often one may guess is the business of `tenantry.attempts`.
"""
