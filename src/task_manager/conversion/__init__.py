"""The parts of `PipelineConverter`: reading definitions, checking pipelines, planning them, choosing a template.

Everything here is pure: facts about the host (which files a source folder has) are passed in.
"""
