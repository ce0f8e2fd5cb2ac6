"""Realtime Register, domain API v2: the notifications of one customer (PROVIDERS, section 1)."""
