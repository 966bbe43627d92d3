"""Drills: faults under a steady load, with the recovery time and a count of every session."""
