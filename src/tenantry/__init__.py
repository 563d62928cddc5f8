"""Tenantry: the multi-tenant SaaS backend, isolated by PostgreSQL."""

__version__ = "0.1.0"
