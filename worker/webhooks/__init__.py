"""Signed requests to endpoints: how they are signed, guarded, sent and judged (DELIVERY, sections 2 and 3)."""
