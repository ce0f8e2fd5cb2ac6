"""Digitaal Vlaanderen, GovApp: the delivery status of push notifications that we sent (PROVIDERS, section 3)."""
