"""`python -m assay`, the same as `assay`."""

from assay.cli.root import main

main()
