"""The schedules: what beat wakes, and when."""
