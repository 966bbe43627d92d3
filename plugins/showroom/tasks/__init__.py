"""Tasks of the DAGs, one module per stage; imported when a task runs, never while a DAG is parsed."""
