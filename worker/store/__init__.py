"""The store: the only place that speaks SQL. One module per group of tables; values in, values out."""
