"""The command line, one module a command group with a function `register(app)`; `cli.app` lists them.

Command modules import heavy modules inside their functions, so that `--help` stays quick.
"""
