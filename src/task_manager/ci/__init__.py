"""At home in continuous integration: what becomes of a project's tasks, in the forms that services read; pipelines."""
