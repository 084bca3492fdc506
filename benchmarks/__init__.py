"""What an interpreted definition costs beside a workflow written by hand."""
