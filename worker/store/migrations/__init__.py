"""Alembic's migrations, one file each in `versions`; tested up from empty and from each released version."""
