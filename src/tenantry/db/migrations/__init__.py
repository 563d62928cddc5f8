"""The schema's history: forward-only; a file has one thing's table, indexes, policies, grants.

Roles. `tenantry_runtime` is what the server works as (through a login role that is its member).
It owns nothing and has only the rights that the code uses. `tenantry_door` owns the SECURITY
DEFINER functions in the schema `tenantry`, the doors: the only ways to look across
organisations. Nobody can log in as it, and it can do no more than its doors need.
"""
