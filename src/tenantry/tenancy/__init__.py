"""Tenancy: who is asking, and the organisation that they have entered.

Promises: a `Tenant` exists only where its session lives and its membership stands at this
moment, and everything read or written through it is its organisation's. The role is what the
database had when the request came in, never what a token says.
"""
