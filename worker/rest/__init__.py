"""What providers share: asking an API over HTTP, paging through it to the end, and reading what it says."""
