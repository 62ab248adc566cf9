"""Commands of the command line that need a file of their own, and what several commands read."""
