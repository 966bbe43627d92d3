"""The shared language of all stages: records, topics, keys, indices, settings, errors, metrics.

Imports the standard library and msgspec only, so that every environment can load it.
"""
