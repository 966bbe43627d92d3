"""The command line. Each module is a command group with a function `register(app)`; `cli.app` lists the modules.

Command modules import heavy modules inside their functions, so that `--help` stays fast.
"""
