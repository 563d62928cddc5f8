"""Accounts and sessions: register, login, refresh, logout; second factors and passkeys.

Promises: passwords are stored as argon2id only, hashed off the event loop; an unknown address
and a wrong password are told apart by neither answer nor time; of the tokens the database has
only hashes; a refresh token used twice ends its session, unless it is the same answer asked for
again within ten seconds; a second factor works once, and nobody signs in to an account that has
one without it; guesses at either have to wait, longer each time.
"""
