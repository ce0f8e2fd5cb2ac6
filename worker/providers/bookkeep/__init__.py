"""Bookkeep, API v1: the notifications that one user may see (PROVIDERS, section 2)."""
