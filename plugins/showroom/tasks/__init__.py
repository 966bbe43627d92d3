"""What the tasks of the DAGs do, one module a stage; imported when a task runs, never while a DAG is parsed."""
