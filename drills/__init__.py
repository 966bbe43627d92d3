"""Kill drills: something dies under a steady load, and what then happened is measured and counted."""
