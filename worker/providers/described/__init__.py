"""Providers by description alone: those of the configuration, and those that come with Tocsin (POLLING, section 8)."""
