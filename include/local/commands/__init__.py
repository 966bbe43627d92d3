"""One module a group of commands; `include.local.cli` finds them by their function `register(app)`.

Command modules import what is heavy inside their functions, so that `--help` stays quick.
"""
