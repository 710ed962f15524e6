"""The command line: Invoke tasks that parse, call :mod:`lab.api` and print."""
