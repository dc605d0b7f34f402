"""The REST API: projects, tasks, templates, workflows and runs over HTTP, for other systems."""
