"""`python -m webapp` is `fairlist`."""

from webapp.cli import main

main()
