"""Tocsin: notification APIs that can only be polled, as a dependable stream of signed webhooks."""

__version__ = "0.1.0"
