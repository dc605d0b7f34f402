"""Workflow templates: listed, read, tried with parameters. Their files are the server's own."""

from __future__ import annotations

from task_manager.errors import InvalidParameters, NotFound
from task_manager.rest_api import schemas
from task_manager.rest_api.problems import documented
from task_manager.rest_api.requests import App, Identifier, Word
from task_manager.rest_api.routing import router
from task_manager.templating.records import WorkflowTemplate

routes = router("templates", "Reusable, parameterised definitions of workflows.")


@routes.get("/templates", response_model=schemas.TemplateList, responses=documented(NotFound))
async def list_templates(app: App, category: Word = None) -> schemas.TemplateList:
    """List the templates, each in its highest version: of a category, or all."""
    templates = app.templates
    return schemas.TemplateList(
        items=tuple(schemas.template_summary(template) for template in templates.list(category)),
        categories=templates.categories(),
        problems=tuple(str(problem) for problem in templates.problems),
    )


@routes.get("/templates/{template_id}", response_model=schemas.TemplateView, responses=documented(NotFound))
async def get_template(app: App, template_id: Identifier, version: Word = None) -> schemas.TemplateView:
    """Read a template with its definition: in a version, or the highest."""
    return _view(app.templates.get(template_id, version))


@routes.get(
    "/templates/{template_id}/versions", response_model=schemas.TemplateVersions, responses=documented(NotFound)
)
async def list_template_versions(app: App, template_id: Identifier) -> schemas.TemplateVersions:
    """List the versions of a template, the highest last."""
    return schemas.TemplateVersions(items=tuple(one.version for one in app.templates.versions(template_id)))


@routes.post(
    "/templates/{template_id}/render",
    response_model=schemas.Rendering,
    responses=documented(InvalidParameters) | documented(NotFound),
)
async def render_template(
    app: App, template_id: Identifier, body: schemas.Parameters, version: Word = None
) -> schemas.Rendering:
    """Show what a template makes of parameters; nothing is stored."""
    template = app.templates.get(template_id, version)
    resolved = template.resolve_parameters(body.parameters)
    return schemas.Rendering(parameters=resolved, definition=template.render(resolved))


def _view(template: WorkflowTemplate) -> schemas.TemplateView:
    return schemas.TemplateView.model_validate(
        template.model_dump(mode="json", include=set(schemas.TemplateView.model_fields))
    )
