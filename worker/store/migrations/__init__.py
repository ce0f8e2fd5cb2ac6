"""Alembic's migrations, one file each in `versions`; tested up from empty and from each released version.

The rule since 0007: the processes of the version before survive a migration, however busy they are. It expands the
schema: new tables, new columns that may be null or have a default of the server's, new indexes that are not unique,
storage parameters. Nothing that is there changes its name, its type or its meaning, or goes.

What has to go, goes in a contract step, a release or more after the version that ceased to use it. Its file says so by
`survived_by = "0012"`: the oldest head whose processes survive it. Whoever is older refuses to start on it, and has to
be updated before `tocsin migrate`. tests/integration/store/test_survived.py looks at every migration for that.

All that is missing is applied in one transaction, which waits 3 s for a table at most, so that nobody waits long behind
it. An index on a large table is in everybody's way while it is made: say so in the release's notes.
"""
