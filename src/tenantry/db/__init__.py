"""PostgreSQL: connections and their scopes, roles, migrations, the isolation check.

What this package promises: every connection handed out belongs to a scope that has established
who it is for; the server works as a role that owns nothing and that row-level security binds;
`isolation.faults()` finds, in the catalogue, every table and right for which that is not true.
What it does not promise: safety from code that holds the owner's credentials.
"""
